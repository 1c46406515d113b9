/* publish_service.c - see publish_service.h. */
#include "publish_service.h"

#include <stdio.h>
#include <string.h>

#include "common/notify.h"

#define AGAIN_NS (PUBLISH_SECOND / 10) /* for what could not be sent */

typedef struct census {
  size_t waiting; /* streams whose name cannot be joined yet */
  size_t failed, live, other;
} census;

static census count_streams(const publish_fleet *fleet) {
  census all = { 0 };
  for (size_t i = 0; i < fleet->count; i++) {
    publish_job *job = &fleet->workers[i]->job;
    pthread_mutex_lock(&job->lock);
    if (job->ended || job->abandoned)
      all.failed += job->exit_code != 0;
    else if (job->publisher == NULL)
      all.waiting++;
    else if (job->state.source.state == CUFRAMES_SOURCE_LIVE)
      all.live++;
    else
      all.other++;
    pthread_mutex_unlock(&job->lock);
    all.waiting += fleet->workers[i]->next != NULL; /* one that is to come in the place of this */
  }
  return all;
}

static void describe(const publish_fleet *fleet, const census *all, char *text, size_t size) {
  if (fleet->waits) {
    snprintf(text, size, "no streams; waiting for another configuration (SIGHUP)");
    return;
  }
  int used = snprintf(text, size, "%zu of %zu streams live", all->live, fleet->count);
  if (all->failed > 0)
    snprintf(text + used, size - (size_t)used, ", %zu failed", all->failed);
}

void publish_service_begin(publish_service *service) {
  *service = (publish_service){ .is_wanted = notify_is_wanted() };
  if (service->is_wanted)
    service->watchdog = notify_watchdog_ns();
}

int64_t publish_service_tell(publish_service *service, const publish_fleet *fleet, int64_t now) {
  if (!service->is_wanted)
    return INT64_MAX;
  const census all = count_streams(fleet);
  char status[sizeof service->status], lines[sizeof service->status + 64];
  describe(fleet, &all, status, sizeof status);
  const bool ready = !service->is_ready && !service->is_stopping && all.waiting == 0;
  const bool news = !service->is_stopping && strcmp(status, service->status) != 0;
  const bool sign = service->watchdog != 0 && now >= service->next_sign;
  snprintf(lines, sizeof lines, "%s%s%s%s", ready ? "READY=1\n" : "", sign ? "WATCHDOG=1\n" : "",
           ready || news ? "STATUS=" : "", ready || news ? status : "");
  if ((ready || news || sign) && !notify_send(lines))
    return now + AGAIN_NS;
  service->is_ready = service->is_ready || ready;
  if (news)
    memcpy(service->status, status, sizeof status);
  if (sign)
    service->next_sign = now + service->watchdog;
  return service->watchdog != 0 ? service->next_sign : INT64_MAX;
}

void publish_service_reloading(publish_service *service) {
  char lines[64];
  if (!service->is_wanted)
    return;
  snprintf(lines, sizeof lines, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)(cuframes_now() / 1000));
  (void)notify_send(lines); /* only for people who look; what counts is said when it is ready again */
  service->is_ready = false;
}

void publish_service_stopping(publish_service *service) {
  if (service->is_wanted)
    (void)notify_send("STOPPING=1\nSTATUS=ending"); /* likewise: the end itself is seen */
  service->is_stopping = true;
}
