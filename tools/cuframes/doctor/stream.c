/* stream.c - one stream, as its publisher tells of it: whether it is there and answers, its camera, who reads it, who
 * is slow and who holds its slots. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "causes.h"
#include "common/json.h"
#include "common/reader.h"
#include "common/stream_state.h"
#include "doctor.h"
#include "places.h"
#include "proc.h"

#define SECOND INT64_C(1000000000)
#define QUESTION_NS (2 * SECOND) /* after which it is looked at whether the publisher is stopped */
#define SLOW_NS (2 * SECOND)     /* so much behind is not just busy */
#define AGAIN_MS 20              /* between two tries to connect */
#define STANDS_NS SECOND         /* a stream without a picture for so long waits for somebody */

/* ---- it is not there ---- */

static void found_absent(doctor *d) {
  char place[DOCTOR_PATH], word[SHELL_WORD], names[256], name[PROC_NAME];
  finding *f = found(d, FOUND_PROBLEM, "exists", "nobody publishes %s in %s", d->name, d->path);
  d->stream_barred = true;
  if (places_elsewhere(d, place, sizeof place)) {
    finding_why(f, "a stream of that name is in %s: the two sides use different runtime directories", place);
    finding_mend(f, "cuframes ... --dir %s, or CUFRAMES_DIR=%s", shell_word(word, sizeof word, place), word);
    return;
  }
  const int pid = places_other_namespace(d);
  shell_word(word, sizeof word, d->path);
  if (pid) {
    proc_name(name, sizeof name, pid);
    finding_why(f, "where process %s is, in another mount namespace (a container), %s is another directory, and has it",
                name, d->path);
    finding_mend(f, "docker run -v %s:%s ... for publisher and readers", word, word);
    return;
  }
  const size_t count = places_list(d->path, names, sizeof names);
  if (count == 0 && places_in_container(d) && !places_is_mount(d->path)) {
    finding_why(f,
                "%s is this container's own, and empty: a publisher in another container, or on the host, has another "
                "directory at that path",
                d->path);
    finding_mend(f,
                 "docker run -v %s:%s ... for publisher and readers; or, in this one, cuframes publish INPUT --name %s",
                 word, word, d->name);
    return;
  }
  if (count)
    finding_why(f, "there is %s; names are compared letter by letter, and the publisher may have another directory",
                names);
  else
    finding_why(
        f, "no publisher runs, or it has another runtime directory or, in a container, another mount at that path");
  finding_mend(f, "cuframes publish INPUT --name %s --dir %s; `ps -C cuframes -o args` shows who publishes what",
               d->name, word);
}

/* What lies in the place of its socket, if that is none; publishers replace files, and no directories. */
static bool found_other_file(doctor *d) {
  char path[DOCTOR_PATH + 80], word[SHELL_WORD_FOR(DOCTOR_PATH + 80)];
  struct stat status;
  snprintf(path, sizeof path, "%s/%s.sock", d->path, d->name);
  if (lstat(path, &status) != 0 || S_ISSOCK(status.st_mode))
    return false;
  finding *f = found(d, FOUND_PROBLEM, "exists", "nobody publishes %s in %s: %s is no socket", d->name, d->path, path);
  finding_why(f, "it is a %s, and lies in the place of the stream's socket",
              S_ISDIR(status.st_mode)   ? "directory"
              : S_ISLNK(status.st_mode) ? "link that leads to no living publisher"
                                        : "file");
  shell_word(word, sizeof word, path);
  finding_mend(f, "%smv %s %s.old, then cuframes publish INPUT --name %s", as_owner(status.st_uid), word, word,
               d->name);
  d->stream_barred = true;
  return true;
}

static void found_dead(doctor *d) {
  char word[SHELL_WORD];
  finding *f = found(d, FOUND_PROBLEM, "exists", "the publisher of %s has died: its socket is left, and nobody listens",
                     d->name);
  finding_why(f, "it was killed, or its container was; a publisher that ends removes its files");
  finding_mend(f, "cuframes publish INPUT --name %s --dir %s takes its place; dmesg | tail says if memory was short",
               d->name, shell_word(word, sizeof word, d->path));
  d->stream_barred = true;
}

/* ---- it does not answer ---- */

/* Whether it is clear why the publisher does not answer; then that was said. */
static bool found_stopped(doctor *d, int pid) {
  char name[PROC_NAME];
  const char state = proc_state(pid);
  proc_name(name, sizeof name, pid);
  if (state == 'T' || state == 't') {
    finding *f = found(d, FOUND_PROBLEM, "answer", "the publisher of %s is stopped: process %s", d->name, name);
    finding_why(f, state == 't' ? "a debugger holds it" : "by a signal (SIGSTOP, Ctrl-Z)");
    if (state == 't')
      finding_mend(f, "grep TracerPid /proc/%d/status shows the debugger: let it go on", pid);
    else
      finding_mend(f, "%skill -CONT %d", as_owner(proc_user(pid)), pid);
  } else if (pid > 0 && group_is_frozen(pid)) {
    finding *f = found(d, FOUND_PROBLEM, "answer", "the publisher of %s is frozen: process %s", d->name, name);
    finding_why(f, "its control group is, as docker pause does it");
    finding_mend(f, "docker unpause CONTAINER; systemctl thaw UNIT");
  } else if (state == 'D') {
    finding *f =
        found(d, FOUND_PROBLEM, "answer", "the publisher of %s hangs in the kernel: process %s", d->name, name);
    finding_why(f, "it waits for a driver or a disk, and nothing else reaches it");
    finding_mend(f, "sudo cat /proc/%d/stack shows where; dmesg | tail", pid);
  } else {
    return false;
  }
  d->stream_barred = true;
  return true;
}

static bool found_full(doctor *d, int pid) {
  const bool full = doctor_publisher_is_full(d, pid);
  d->stream_barred = d->stream_barred || full;
  return full;
}

static void found_silent(doctor *d, int pid) {
  char name[PROC_NAME], word[SHELL_WORD];
  finding *f = found(d, FOUND_PROBLEM, "answer", "the publisher of %s does not answer", d->name);
  d->stream_barred = true;
  proc_name(name, sizeof name, pid);
  if (pid > 0 && proc_state(pid) == '\0') {
    finding_why(f, "it is process %d, which this user may not look at: it is stopped, frozen or starved of CPU", pid);
    finding_mend(f, "sudo cuframes doctor %s --dir %s says which", d->name, shell_word(word, sizeof word, d->path));
  } else if (pid > 0 && proc_descriptors(pid) < 0) {
    finding_why(f,
                "process %s runs: the machine is too busy for it, its library's thread hangs, or it has no descriptor "
                "left, which this user may not look at",
                name);
    finding_mend(f, "sudo cuframes doctor %s --dir %s says which", d->name, shell_word(word, sizeof word, d->path));
  } else if (pid > 0) {
    finding_why(f, "process %s runs: the machine is too busy for it, or its library's thread hangs", name);
    finding_mend(f, "top -H -p %d shows what it does; cuframes doctor %s --timeout 60 waits longer", pid, d->name);
  } else {
    finding_why(
        f, "it is stopped, frozen or starved of CPU, in another PID namespace (a container), where it cannot be seen");
    finding_mend(f, "docker ps shows whether it is paused: docker unpause CONTAINER; or look from the host");
  }
}

/* Errors of making a socket or of connecting it that another stream meets as well. */
static bool is_ours(int error) {
  return error == EACCES || error == EPERM || error == ENOSYS || error == EAFNOSUPPORT || error == EMFILE ||
         error == ENFILE;
}

/* What the rights of directory and socket forbid is said of them. */
static void found_refused(doctor *d, int error) {
  char path[DOCTOR_PATH + 80];
  snprintf(path, sizeof path, "%s/%s.sock", d->path, d->name);
  if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
    return;
  finding_errno(found(d, FOUND_PROBLEM, "answer", "this process is not let through to the publisher of %s", d->name),
                error == EAFNOSUPPORT || error == EMFILE || error == ENFILE ? "socket" : "connect", error, NULL);
  d->stream_barred = d->connect_barred = true;
}

/* Who holds the name of a stream and does not listen is dead, is about to listen, or is kept from us. */
static int knock_while_held(const doctor *d, int knocked) {
  const int64_t end = cuframes_now() + d->limit_ns / 8;
  int pid;
  while (knocked == ECONNREFUSED && places_is_held(d->path, d->name) && cuframes_now() < end) {
    (void)poll(NULL, 0, AGAIN_MS); /* just time that goes by */
    knocked = places_knock(d->path, d->name, &pid);
  }
  return knocked;
}

/* Asks until it answers, it is known why it does not, or the time is over. */
static int ask(doctor *d, cuframes_stream_info **info) {
  const int64_t end = cuframes_now() + d->limit_ns - d->limit_ns / 8;
  for (;;) {
    int pid;
    const int64_t left = end - cuframes_now();
    doctor_stage(d, "asking the publisher of %s", d->name);
    const int error =
        cuframes_stream_query(d->path, d->name, left < QUESTION_NS ? (left > 0 ? left : 1) : QUESTION_NS, info);
    if (error != CUFRAMES_ERR_TIMEOUT)
      return error;
    (void)places_knock(d->path, d->name, &pid); /* for the number alone, */
    if (pid <= 0)                               /* which a socket does not give whose queue is full */
      pid = places_holder(d->path, d->name);
    if (found_stopped(d, pid) || found_full(d, pid))
      return CUFRAMES_OK; /* without an answer */
    if (cuframes_now() >= end) {
      found_silent(d, pid);
      return CUFRAMES_OK;
    }
  }
}

/* ---- what it tells ---- */

static void look_at_camera(doctor *d, const cuframes_stream_info *info) {
  char state[STATE_TEXT], why[STATE_TEXT];
  const cuframes_source_info *source = info->source;
  if (state_is_live(info, 0, why, sizeof why)) {
    state_text(state, sizeof state, source);
    if (source->state == CUFRAMES_SOURCE_UNKNOWN)
      found(d, FOUND_UNKNOWN, "camera", "how its source is: the publisher does not say; pictures come");
    else
      found(d, FOUND_WELL, "camera", "its source is %s", state);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "camera", "the source of %s does not give pictures: %.300s", d->name, why);
  switch (source->state) {
    case CUFRAMES_SOURCE_STALLED:
      finding_why(
          f, "it is connected and sends nothing: the camera hangs, the network does, or a firewall takes UDP away");
      finding_mend(f, "cuframes info %s says of each track what comes; restart the camera; --rtsp-transport tcp",
                   d->name);
      break;
    case CUFRAMES_SOURCE_RECONNECTING:
    case CUFRAMES_SOURCE_CONNECTING:
      finding_why(f, "%.200s",
                  *source->reason ? source->reason : "the publisher has no connection to it, and tries again");
      finding_mend(f, "ping CAMERA; ffprobe ADDRESS, from where the publisher runs; cuframes info %s", d->name);
      break;
    case CUFRAMES_SOURCE_REFUSED:
      finding_why(f, "%.200s", *source->reason ? source->reason : "the camera wants another user or password");
      finding_mend(f, "cuframes publish ADDRESS --name %s --user USER --password-file FILE", d->name);
      break;
    case CUFRAMES_SOURCE_ENDED:
      finding_why(f, "nothing more will come; what was published can still be read");
      finding_mend(f, "cuframes publish INPUT --name %s --loop, or --reconnect", d->name);
      break;
    default:
      finding_why(f, "the publisher does not say how its source is, and its newest picture is old, or there is none");
      finding_mend(f, "cuframes info %s shows the age of the newest picture; look at the program that publishes it",
                   d->name);
      break;
  }
}

static bool falls_behind(const cuframes_stream_info *info, const cuframes_subscriber_info *seat) {
  const double fps = info->fps > 0.1 ? info->fps : 0;
  return fps > 0 && (double)seat->lag / fps * (double)SECOND > (double)SLOW_NS;
}

/* An ordered one that has as much waiting for it as may: the stream waits for it, or drops. */
static bool holds_up(const cuframes_stream_info *info, const cuframes_subscriber_info *seat) {
  return seat->mode == CUFRAMES_MODE_ORDERED && seat->depth > 0 && seat->lag >= seat->depth &&
         (info->dropped > 0 || info->age_ns > STANDS_NS);
}

/* pid: of the reader, 0: not visible here. */
static void mend_reader(finding *f, int pid) {
  const char state = proc_state(pid);
  if (state == 'T' || state == 't')
    finding_mend(f, "%skill -CONT %d: it is stopped", as_owner(proc_user(pid)), pid);
  else if (pid > 0)
    finding_mend(f, "%skill %d ends it; top -H -p %d shows what it does", as_owner(proc_user(pid)), pid, pid);
  else
    finding_mend(f, "docker ps: it is in a container whose processes are not seen from here; end it, or unpause it");
}

static void look_at_reader(doctor *d, const cuframes_stream_info *info, const cuframes_subscriber_info *seat) {
  char name[PROC_NAME], who[200], slots[96] = "";
  /* The publisher tells the number that it knows; in another PID namespace that is another process's here. */
  const int pid = proc_counts_alike(d->publisher) ? seat->pid : 0;
  proc_name(name, sizeof name, pid);
  snprintf(who, sizeof who, "the reader \"%.64s\" (%s%s, user %u)", seat->label, pid > 0 ? "process " : "",
           pid > 0 ? name : "a process not seen from here", seat->uid);
  for (uint32_t i = 0; i < seat->leases_held && strlen(slots) + 16 < sizeof slots; i++)
    snprintf(slots + strlen(slots), sizeof slots - strlen(slots), "%s%u", i ? ", " : "", seat->held_slots[i]);
  if (seat->evicted) {
    finding *f = found(d, FOUND_PROBLEM, "readers", "%s was evicted: it was too slow for every picture", who);
    finding_why(f, "an ordered reader that takes nothing for the publisher's --ordered-timeout loses its place");
    finding_mend(f, "more --depth, less work for each picture, or newest mode; then join again (--reconnect)");
  } else if (holds_up(info, seat)) {
    finding *f =
        found(d, FOUND_PROBLEM, "readers", "%s is %" PRIu64 " pictures behind, in ordered mode", who, seat->lag);
    finding_why(f, "the publisher waits for it, or drops pictures for all, as its --policy says; it holds slots %s",
                slots);
    mend_reader(f, pid);
  } else if (seat->mode == CUFRAMES_MODE_NEWEST && seat->leases_held > 0 && falls_behind(info, seat)) {
    finding *f =
        found(d, FOUND_PROBLEM, "readers", "%s holds slot%s %s, and has taken none of the last %" PRIu64 " pictures",
              who, seat->leases_held == 1 ? "" : "s", slots, seat->lag);
    finding_why(f, "it is stopped, in a debugger, or forgets to release; nobody can write into these slots meanwhile");
    mend_reader(f, pid);
  } else {
    found(d, FOUND_WELL, "readers", "%s, %s, %" PRIu64 " pictures behind, holds %u of %u", who, mode_text(seat->mode),
          seat->lag, seat->leases_held, seat->leases);
  }
}

static void look_at_slots(doctor *d, const cuframes_stream_info *info) {
  if (info->slots < info->max_slots || info->slots_pinned + 2 < info->slots) {
    found(d, FOUND_WELL, "slots", "%u slots of at most %u, %u pinned", info->slots, info->max_slots,
          info->slots_pinned);
    return;
  }
  finding *f = found(d, FOUND_PROBLEM, "slots", "%u of the %u slots of %s are held, and there can be no more",
                     info->slots_pinned, info->slots, d->name);
  finding_why(f, "pictures without a slot are dropped (%" PRIu64 " so far), and no further reader is let in",
              info->dropped);
  finding_mend(f, "cuframes top %s shows who holds them: end that one; or publish with a higher --max-slots", d->name);
}

static void look_at_info(doctor *d, const cuframes_stream_info *info) {
  char picture[FORMAT_TEXT];
  d->stream_answers = true;
  d->publisher = info->pid;
  d->stream_pictures = has_pictures(&info->format);
  snprintf(d->stream_device, sizeof d->stream_device, "%s", info->device);
  picture_text(picture, sizeof picture, info);
  found(d, FOUND_WELL, "answer", "%s is published by process %d: %s on %s", d->name, info->pid, picture, info->device);
  look_at_camera(d, info);
  if (d->stream_pictures)
    look_at_slots(d, info);
  for (size_t i = 0; i < info->subscriber_count; i++)
    look_at_reader(d, info, info->subscribers[i]);
  doctor_stage(d, "looking at the publisher of %s", d->name);
  if (info->pid <= 0)
    found(d, FOUND_UNKNOWN, "publisher-limits", "limits of the publisher: it is in another PID namespace");
  else
    doctor_publisher_limits(d, info->pid, info->slots ? 2 * (info->memory_bytes / info->slots) : 0);
}

void doctor_stream(doctor *d) {
  cuframes_stream_info *info = NULL;
  int pid;
  if (!d->name || d->path[0] == '\0')
    return;
  doctor_stage(d, "connecting to the publisher of %s", d->name);
  const int knocked = knock_while_held(d, places_knock(d->path, d->name, &pid));
  if (knocked != 0 && !is_ours(knocked) && found_other_file(d))
    return;
  if (knocked == ECONNREFUSED) {
    if (places_is_held(d->path, d->name))
      found_refused(d, knocked);
    else
      found_dead(d);
    return;
  }
  if (knocked == ENOENT || knocked == ENOTDIR) {
    if (!d->stream_barred) /* else it was said what is wrong with the directory */
      found_absent(d);
    return;
  }
  if (is_ours(knocked)) {
    found_refused(d, knocked);
    return;
  }
  const int error = ask(d, &info);
  if (error == CUFRAMES_ERR_NO_SUCH_STREAM && places_knock(d->path, d->name, &pid) != 0) {
    found_absent(d); /* it ended just now */
  } else if (error != CUFRAMES_OK) {
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", cuframes_last_error());
    finding_error(found(d, FOUND_PROBLEM, "answer", "%s cannot be asked about itself", d->name), d, error, sentence);
    d->stream_barred = true;
  }
  if (info)
    look_at_info(d, info);
  cuframes_stream_info_free(info);
}
