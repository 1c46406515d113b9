/* join.c - see join.h. */
#include "join.h"

#define LOOK_AGAIN (20 * G_TIME_SPAN_MILLISECOND) /* for a name that is not there yet */

struct cf_gst_join {
  gatomicrefcount references;
  gchar *name;
  cuframes_subscriber_options options; /* with strings of its own */
  gint64 limit;                        /* on the clock of cuframes: no attempt begins later, but for the first */
  GMutex lock;                         /* for what follows */
  GCond changed;
  gboolean given_up, done;
  int error;
  gchar *detail;
  cuframes_subscriber *subscriber; /* NULL: none, or somebody has taken it */
};

void cf_gst_join_unref(cf_gst_join *join) {
  if (!g_atomic_ref_count_dec(&join->references))
    return;
  cuframes_subscriber_destroy(join->subscriber);
  g_free(join->detail);
  g_free(join->name);
  g_free((gchar *)join->options.directory);
  g_free((gchar *)join->options.label);
  g_free((gchar *)join->options.device);
  g_mutex_clear(&join->lock);
  g_cond_clear(&join->changed);
  g_free(join);
}

static gboolean is_absent(int error) {
  return error == CUFRAMES_ERR_NO_SUCH_STREAM || error == CUFRAMES_ERR_TIMEOUT || error == CUFRAMES_ERR_PUBLISHER_GONE;
}

/* FALSE: it was given up. */
static gboolean pause_before_next(cf_gst_join *join) {
  const gint64 until = g_get_monotonic_time() + LOOK_AGAIN;
  g_mutex_lock(&join->lock);
  while (!join->given_up && g_cond_wait_until(&join->changed, &join->lock, until))
    ;
  const gboolean given_up = join->given_up;
  g_mutex_unlock(&join->lock);
  return !given_up;
}

/* Tries until there is something to say. */
static void attempt(cf_gst_join *join) {
  cuframes_subscriber *subscriber = NULL;
  int error;
  do
    error = cuframes_subscriber_create(join->name, &join->options, &subscriber);
  while (is_absent(error) && cuframes_now() < join->limit && pause_before_next(join));
  g_mutex_lock(&join->lock);
  join->done = TRUE;
  join->error = error;
  join->detail = error == CUFRAMES_OK ? NULL : g_strdup(cuframes_last_error());
  join->subscriber = subscriber;
  g_cond_broadcast(&join->changed);
  g_mutex_unlock(&join->lock);
}

static gpointer run(gpointer join) {
  attempt(join);
  cf_gst_join_unref(join);
  return NULL;
}

cf_gst_join *cf_gst_join_new(gchar *name, const cuframes_subscriber_options *options, gint64 wait) {
  const gint64 now = cuframes_now();
  cf_gst_join *join = g_new0(cf_gst_join, 1);
  g_atomic_ref_count_init(&join->references);
  join->name = name;
  join->options = *options;
  join->limit = wait < 0 || wait > G_MAXINT64 - now ? G_MAXINT64 : now + wait;
  g_mutex_init(&join->lock);
  g_cond_init(&join->changed);
  g_atomic_ref_count_inc(&join->references);
  GThread *thread = g_thread_try_new("cuframes-join", run, join, NULL);
  if (thread != NULL)
    g_thread_unref(thread);
  else {
    (void)g_atomic_ref_count_dec(&join->references);
    join->limit = 0;
    attempt(join);
  }
  return join;
}

void cf_gst_join_give_up(cf_gst_join *join) {
  g_mutex_lock(&join->lock);
  join->given_up = TRUE;
  g_cond_broadcast(&join->changed);
  g_mutex_unlock(&join->lock);
}

int cf_gst_join_wait(cf_gst_join *join, cuframes_subscriber **subscriber) {
  g_mutex_lock(&join->lock);
  while (!join->done && !join->given_up)
    g_cond_wait(&join->changed, &join->lock);
  const int error = join->given_up ? CUFRAMES_ERR_INTERRUPTED : join->error;
  if (error == CUFRAMES_OK)
    *subscriber = g_steal_pointer(&join->subscriber);
  else
    (void)cuframes_set_last_error(error, join->done && join->detail ? join->detail : "joining was given up");
  g_mutex_unlock(&join->lock);
  return error;
}
