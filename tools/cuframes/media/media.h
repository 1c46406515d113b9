/* media.h - one opened input and what becomes of its packets and pictures; shared by source_media.c (the course of
 * things), media_input.c (opening, reading, time-outs), media_transport.c (RTP's way), media_relay.c, media_setup.c,
 * media_reason.c and media_outage.c (when that goes wrong), media_device.c (cameras of this machine), media_choice.c,
 * media_tables.c, media_sets.c, media_order.c, media_extra.c, media_decoder.c, media_slots.c, media_track.c,
 * media_codec.c, media_packet.c, media_multipart.c, media_document.c, media_leads.c, media_variants.c, media_hold.c,
 * media_side.c and media_frame.c. */
#ifndef CUFRAMES_CLI_MEDIA_H
#define CUFRAMES_CLI_MEDIA_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

#include "canvas.h"
#include "common/cli_avlog.h"
#include "media_connection.h"
#include "publish/publish_job.h"
#include "rtsp/relay.h"
#include "timeline.h"

/* A track: the stream that it is, and how it was last described to the publisher, so that only changes are said. */
typedef struct media_track {
  int stream;           /* the input's; -1: none at present */
  int program;          /* the id of that stream's programme; -1: none */
  uint32_t kind;        /* CUFRAMES_MEDIA_* */
  enum AVCodecID codec; /* of that stream */
  uint64_t header;      /* what the container said of it, in short */
  bool current;         /* that has been described */
  cuframes_codec_params params;
  uint8_t *extradata;
  size_t extradata_size;
  bool described;
} media_track;

/* What a picture says of itself, as cuframes_format and cuframes_codec_params have it; of the source, whatever becomes
 * of it. */
typedef struct media_words {
  cuframes_color color;
  uint8_t chroma_location, field_order, orientation;
  uint32_t sample_aspect_num, sample_aspect_den;
  cuframes_mastering_display mastering_display;
  cuframes_content_light content_light;
} media_words;

/* Decoding on the GPU, where the job has one. */
typedef struct media_nvdec {
  bool off;          /* not for this input any more */
  bool refused;      /* the video as it is now */
  bool failed;       /* the decoder is to be replaced by a software one */
  bool has_pictures; /* some came out of this decoder */
  bool wait_for_key;
  int ordinal;   /* of the GPU */
  char why[512]; /* why not */
  enum { MEDIA_SAID_NOTHING, MEDIA_SAID_NVDEC, MEDIA_SAID_SOFTWARE } said;
} media_nvdec;

#define MEDIA_PIPE "pipe:0" /* standard input, to FFmpeg */
#define MEDIA_SLOTS_MAX PUBLISH_DECODER_SLOTS

/* A slot that the decoder makes a picture in. */
typedef struct media_slot {
  struct media *owner;
  cuframes_frame *frame; /* NULL: none; else with a reference of its own */
  bool taken;            /* published or about to be: the open frame is not the decoder's any more */
  uint64_t generation;   /* of the format that it has */
} media_slot;

/* Decoding into slots. */
typedef struct media_slots {
  pthread_mutex_t lock;   /* guards what follows */
  uint32_t most;          /* slots that this decoder may have; 0: it makes its pictures elsewhere */
  bool ready;             /* the publisher's slots are laid out for a decoder */
  cuframes_format format; /* of them */
  uint64_t generation;    /* counts its changes */
  /* The last buffer that libavcodec made itself. */
  int known_format, known_width, known_height;
  int known_pitch[4];
  media_slot slot[MEDIA_SLOTS_MAX];
} media_slots;

/* When pictures were taken, all in ns; CUFRAMES_NO_TIME: not known. */
typedef struct media_clock {
  int64_t origin;               /* since 1970 UTC, of pts 0, as published */
  int64_t time;                 /* of the last packet, or of the one after it */
  int64_t pts;                  /* of the last packet */
  int64_t began, origin_before; /* up to which pts the origin was another one */
  int64_t stale, stale_until;   /* by how much times of pictures may be wrong since the source's clock jumped; a pts */
  int doubts;                   /* packets in a row that told of another clock */
  bool is_next;                 /* a time was that of the packet behind the one it came with */
} media_clock;

/* How much of what a camera announces it can set up. */
typedef struct media_setup {
  uint32_t left_out, said_out; /* a bit for each track that is not asked for: now, and when it was last said */
  char kinds[128];             /* of those, in words */
  unsigned less, said;         /* steps down from everything, where tracks cannot be told apart: likewise */
  bool hopeless;               /* it was not for a track that can be left out */
  char reason[255];
} media_setup;

/* JPEGs over HTTP whose parts cannot be read. */
typedef struct media_multipart {
  bool bare, said; /* they are found without; and that was said */
  bool broke;      /* they could not be read on, which was news */
} media_multipart;

/* Why a camera of this machine does not give pictures. */
enum media_device_trouble {
  MEDIA_DEVICE_OTHER, /* none, or what FFmpeg says */
  MEDIA_DEVICE_LACKS_LIBRARY,
  MEDIA_DEVICE_GONE,
  MEDIA_DEVICE_CLOSED, /* to us */
  MEDIA_DEVICE_BUSY,
  MEDIA_DEVICE_NONE, /* something else lies there */
  MEDIA_DEVICE_NO_CAMERA,
  MEDIA_DEVICE_METADATA, /* a camera's second device */
  MEDIA_DEVICE_PLANES,
  MEDIA_DEVICE_OPTION, /* one that FFmpeg cannot read */
  MEDIA_DEVICE_FORMAT  /* that it does not have */
};

/* A document of which parts have come. */
typedef struct media_document {
  uint8_t *data;
  size_t size, part; /* part: of the first one */
  AVPacket *first;   /* its times; NULL: none came yet */
} media_document;

/* Reads where pictures are in the order in which they are shown. */
typedef struct media_order {
  AVCodecParserContext *parser; /* NULL: none is needed yet, or there is none */
  AVCodecContext *context;
  enum AVCodecID codec; /* that these are for */
} media_order;

#define MEDIA_HELD_MAX 256
#define MEDIA_HIDDEN_MAX 64 /* pictures that are in a decoder at a time, and more */

typedef struct media {
  cli_avlog_owner owner; /* first: the `opaque` of FFmpeg's objects */
  publish_job *job;

  /* media_input.c */
  AVFormatContext *in; /* NULL: not open */
  AVPacket *packet;
  int video; /* index of the stream that is decoded; -1: there is none, and the packets of `sound` are all there is */
  int sound; /* its index then */
  int64_t sound_alone_at; /* when the first one came that had sound alone, and was not believed; 0: none did */
  bool had_video;         /* some connection had it: one without is not whole */
  bool live; /* a network address, or a camera of this machine: paced by its source, has time-outs, is reconnected */
  media_multipart multipart;                 /* media_multipart.c */
  enum media_device_trouble device_trouble;  /* media_device.c: the last one */
  media_connection connection;               /* how it lives */
  int64_t opened_at;                         /* when the connection was there */
  media_outage outage;                       /* media_outage.c */
  media_transport transport;                 /* media_transport.c */
  media_length length;                       /* media_length.c */
  char *path;                                /* of a file, as FFmpeg wants it; NULL: the input is none */
  const char *leads_to;                      /* media_leads.c: protocols that a file leads to; NULL: only to itself */
  char *leads_text;                          /* that file */
  char *variants_wanted, *variants_left_out; /* media_variants.c: ends of addresses, a line each; NULL: none */
  int (*leads_open)(AVFormatContext *in, AVIOContext **pb, const char *url, int flags, AVDictionary **options);
  const char *device; /* path of a V4L2 camera, in the input; NULL: it is none */
  char reason[512];   /* why the last call here failed, for a message */

  rtsp_relay *relay;              /* media_relay.c; NULL: none */
  rtsp_relay_report relay_report; /* what it last found out */
  media_setup setup;              /* media_setup.c */
  char said_choice[512];          /* media_choice.c */
  AVDictionary *extra;            /* media_extra.c: what the demuxer left of --input-option for the decoder */

  /* media_decoder.c; a decoder outlives its input, for the next one that is like it */
  AVCodecContext *decoder;
  AVCodecParameters *decoder_for;   /* what it was made for */
  bool extra_said;                  /* that some of --input-option does nothing */
  bool decoder_drained;             /* it was told that nothing comes any more */
  bool decoder_break;               /* the next packet is not the one behind the last */
  bool decoder_changed;             /* other parameter sets came with packets: it is not what decoder_for says */
  unsigned hidden_count;            /* of all that were put into the next one */
  int64_t hidden[MEDIA_HIDDEN_MAX]; /* pts of the last packets whose pictures are not to be shown, in a ring */
  media_nvdec nvdec;

  media_slots slots; /* media_slots.c */

  /* media_track.c; data tracks are numbered behind the others */
  media_track tracks[CUFRAMES_TRACKS_MAX];
  uint32_t track_count;
  int track_of[64];          /* by the input's stream index; -1: not published */
  int heir[64];              /* by stream index: what goes on for it since another table came; -1: nothing */
  unsigned mapped;           /* entries of these that are valid; 0: the input is a new one */
  unsigned streams_at_first; /* of the input */
  int other_video;           /* packets of another video since the last one of ours */
  bool uncompressed_said;    /* that the video is so, and comes as pictures only */
  bool split;                /* of a file: its programme's table changes, and FFmpeg has a stream for each PID */
  bool tables_known;         /* whether that is so has been found out */
  uint8_t foreign;           /* media_codec.c: what came that only another codec has */
  int table_version;         /* at first; -1: none */
  unsigned table_streams;    /* that the first table names */
  int64_t table_began;       /* position of the first packet of the PID that is decoded; 0: of the first one */
  int64_t table_last;        /* the last packet's decoding time, as read */

  struct AVBSFContext *sets; /* media_sets.c; NULL: not needed yet */

  media_order order; /* media_order.c */

  /* media_packet.c */
  timeline timeline;
  bool orders; /* the input tells of its video the order, not the times, in which pictures are shown */
  AVPacket *before[MEDIA_LENGTH_TRACKS]; /* the last one of each of a live input's streams, as it came */
  bool first_packet;                     /* none of this input was published yet */
  bool early;                            /* what was read last had been read by FFmpeg before anybody asked for it */
  bool said_arrival;                     /* that times are ours */
  bool jumped;                           /* the source's clock did, and that is to be said at the next keyframe */
  bool damaged;                          /* the demuxer said so of a packet */
  bool holding;                          /* until the first times are known: media_hold.c */
  publish_limiter oversized_limiter, jump_limiter;

  media_document documents[MEDIA_LENGTH_TRACKS]; /* media_document.c: of each of the input's streams */

  /* media_hold.c */
  AVPacket *held[MEDIA_HELD_MAX];
  unsigned held_count;

  /* media_frame.c */
  AVFrame *frame;
  host_canvas canvas;
  struct SwsContext *scaler;
  cuframes_format scaler_for; /* the target and the source it was made for */
  int scaler_source, scaler_matrix, scaler_range;
  cuframes_format format; /* the publisher's at present */
  media_words words;      /* of the last picture */
  uint8_t orientation;    /* that the pictures have with them; 0: none */
  bool turn_left_out;     /* it was said that an orientation is none of the eight */
  int keys_without;       /* keyframes since one had it */
  int progressive_run;    /* pictures without fields, in a film that has them */
  int64_t next_pts;       /* where a picture without a time goes (as published) */
  int64_t frame_duration; /* nominal; 0: unknown */
  publish_pace pace;

  /* media_side.c */
  media_clock clock;
  publish_limiter side_limiter;
} media;

/* media_input.c. Results are 0 or an AVERROR, with m->reason set. */
int media_open(media *m);
/* Leaves the decoder, for the next input. */
void media_close(media *m);
/* Reads into m->packet. AVERROR_EOF at the end, AVERROR(EAGAIN): nothing yet. */
int media_read(media *m);
/* Whether it is a web address that answers with one picture each time, as cameras have them for snapshots, as far as is
 * known by now. */
bool media_is_snapshot(const media *m);
/* The source has given one picture and ended in order: waits until it may be asked for the next one. False when the job
 * is to stop. */
bool media_ask_again(media *m);
/* How long a picture of the video lasts by what the container says. */
void media_note_rate(media *m);
/* Goes back to the start. */
int media_rewind(media *m);
/* The stream that tells whether the input lives, and its pace. */
static inline int media_lead(const media *m) {
  return m->video >= 0 ? m->video : m->sound;
}
/* Decides what the input is: m->live, m->path, m->device. False: out of memory. */
bool media_input_init(media *m);
/* How long a live input may send nothing, and how long nothing of its video, ns. */
int64_t media_timeout(const media *m);
int64_t media_picture_timeout(const media *m);

/* media_length.c */
void media_length_begin(media *m);
/* m->packet was read. */
void media_length_note(media *m);
/* Whether less came out of a file than it promised; then m->reason says so. */
bool media_ended_early(media *m);

/* media_transport.c */
/* For FFmpeg's rtsp_transport; NULL: the input is no RTSP. */
const char *media_transport_name(const media *m);
/* True: it was the transport that the camera did not want, and the next one is to be tried at once. */
bool media_transport_refused(media *m, int error);
/* Looks at a connection that has ended: whether another transport may do better. */
void media_transport_ended(media *m);
/* The first packet came: says which way, if that is not the first choice. */
void media_transport_works(media *m);

/* media_reason.c */
/* The reason of an AVERROR into m->reason; what: that which could not be done. Gives the error. */
int media_explain(media *m, int error, const char *what);
/* Whether trying again cannot help: the address or the options are wrong, not the camera. */
bool media_is_permanent(const media *m, int error);
/* Whether the other side does not let us in: what it does with every try may be to count it. */
bool media_is_refusal(int error);
/* What to do about it; NULL if nobody can know. */
const char *media_remedy(const media *m, int error);

/* media_relay.c */
/* Connects to an RTSP camera by a relay, where the input is for one. Gives 0 or an AVERROR. stop: gets m. */
int media_relay_begin(media *m, bool (*stop)(void *));
/* What FFmpeg is to open. */
const char *media_relay_address(const media *m);
/* Brings m->relay_report up to date. */
void media_relay_look(media *m);
/* The input is closed. */
void media_relay_end(media *m);

/* media_variants.c */
/* Chooses among the variants of an HLS film that is about to be opened, where that can be done. Gives 0 or an AVERROR:
 * its list cannot be read. */
int media_variants_begin(media *m, const AVDictionary *options);
/* Whether this is a part of the film that is not wanted. */
bool media_variants_is_left_out(const media *m, const char *url);
void media_variants_free(media *m);

/* media_leads.c */
/* m->path is known: looks whether it leads to the network, which makes it live. */
void media_leads_init(media *m);
void media_leads_options(const media *m, AVDictionary **options);
/* m->in is about to be opened. */
void media_leads_begin(media *m);
void media_leads_free(media *m);

/* media_multipart.c */
/* The demuxer that is to read it; NULL: FFmpeg finds out. */
const AVInputFormat *media_multipart_format(const media *m);
/* Whether it could not be opened for its parts, and is to be opened at once, without looking at them. */
bool media_multipart_refused(media *m, int error);
/* It could not be read on. */
void media_multipart_broke(media *m, int error);
/* Whether that was for its parts, and it is to be opened again at once. */
bool media_multipart_again(media *m);
/* It is open. */
void media_multipart_works(media *m);

/* media_document.c */
/* Whether m->packet may be a part of a document; the rest is about such a one. */
bool media_document_is_part(const media *m);
/* Whether the document before it has all that will come: media_document_take() gives it. */
bool media_document_is_over(const media *m);
/* Adds it. True: m->packet is the whole document now. */
bool media_document_add(media *m);
void media_document_take(media *m, int stream, AVPacket *to);
void media_document_forget(media *m);

/* media_outage.c: the two moments between which a live input is away. */
/* Trouble begins, or goes on: it is said, as far as that is news. Gives how long to wait before the next try, ns. */
int64_t media_outage_trouble(media *m);
/* Pictures come again, or at last. */
void media_outage_over(media *m);

/* media_setup.c */
/* A new connection: everything is asked for. */
void media_setup_begin(media *m);
/* Whether opening failed for a track that can do without; then less is asked for. */
bool media_setup_refused(media *m);
/* It is open. */
void media_setup_works(media *m);
/* What is asked for, in FFmpeg's words; NULL: everything. */
const char *media_setup_types(const media *m);

/* media_tables.c: programmes of a transport stream whose tables change. */
/* Whether FFmpeg shall merge the versions of a table. */
bool media_tables_merge(const media *m);
/* The input was opened, and not looked at yet. */
void media_tables_begin(media *m);
/* It was looked at: whether the file is to be opened once more, in the way that m->split says now. */
bool media_tables_changed(media *m);
/* Of split tables, the track that a stream is; -1: it has one of its own. */
int media_tables_track(const media *m, unsigned stream);
/* m->packet is the video's and goes to the decoder. */
void media_tables_note(media *m);
/* Whether it was kept back by FFmpeg until after its time, and has been had in another way. */
bool media_tables_is_late(const media *m);
/* m->packet is the first of another PID: decodes and publishes what FFmpeg keeps back of the one before. Gives an exit
 * code, after a message. */
int media_tables_tail(media *m);

/* media_device.c, of inputs that have m->device */
/* NULL: this FFmpeg has none; m->reason. */
const AVInputFormat *media_device_format(media *m);
/* Puts the reason of an AVERROR into m->reason; false: nothing is known beyond what FFmpeg says. */
bool media_device_explain(media *m, int error, const char *what);
/* Of the last trouble, as media_remedy() and media_is_permanent(). */
const char *media_device_remedy(const media *m);
bool media_device_is_permanent(const media *m);

/* media_choice.c */
/* Which video it is, or which sound without one, and which streams are not read. As media_input.c's. */
int media_choose(media *m);
/* A stream came up in an input that had sound alone: takes it if it is a video. */
void media_choose_late(media *m);
/* A video that could be taken: its size in pixels, and bits per second. */
typedef struct media_candidate {
  int64_t width, height, rate; /* 0: not known */
} media_candidate;
/* Whether `a` is to be taken rather than `b`, as the user wants it. */
bool media_candidate_is_better(const media *m, media_candidate a, media_candidate b);

/* media_extra.c */
/* What --input-option says, over what is there. */
void media_extra_options(const media *m, AVDictionary **options);
/* Remembers for the decoder what opening the input left of them. */
void media_extra_keep(media *m, const AVDictionary *left);
/* Says what the decoder left, too. */
void media_extra_check(media *m, AVDictionary *left);

/* media_decoder.c */
/* The decoder for the opened input, if that has a video: the one that is there, if it will do. As media_input.c's. */
int media_decoder_open(media *m);
void media_decoder_close(media *m);
/* Sends a packet with times as published to the decoder and publishes what comes out. Gives an exit code, after a
 * message. */
int media_decode(media *m, const AVPacket *packet);
/* Publishes what is left in the decoder. Likewise. */
int media_decoder_drain(media *m);
/* Whether the decoder need not be drained before the first packet of the next round: it goes on with it. */
bool media_decoder_goes_on(const media *m);
/* Whether all pictures that can come out of the decoder did. */
bool media_decoder_is_empty(const media *m);
/* Whether the decoder will try NVDEC, and what that makes of a video that software decodes to this format; NONE: it
 * cannot, or we cannot take it. */
bool media_wants_nvdec(const media *m);
enum AVPixelFormat media_nvdec_format(enum AVPixelFormat software);

/* media_slots.c */
/* False: out of resources. */
bool media_slots_init(media *m);
void media_slots_free(media *m);
/* For a decoder that is about to be opened: whether it shall make its pictures in slots. */
void media_slots_decoder(media *m, const AVCodec *codec, AVCodecContext *decoder);
/* Lays a format out as the decoder wants it for pictures of this format, or leaves it as it is. */
void media_slots_layout(media *m, enum AVPixelFormat from, cuframes_format *format);
/* The publisher has this format now; NULL: it is about to get another one. */
void media_slots_change(media *m, const cuframes_format *format);
/* The open frame that a picture was made in, which is the caller's now; NULL: the picture is to be copied. */
cuframes_frame *media_slots_take(media *m, const AVFrame *frame);

/* media_track.c */
/* Says, once, if the video is nothing for the packet ring. */
void media_say_uncompressed(media *m);
/* Numbers the streams that came since the last call; some containers show a stream with its first packet only. */
void media_map(media *m);
/* Describes all streams that are there by now to the publisher. */
void media_describe(media *m);
/* The input goes back to its start: what was described in between counts no more. */
void media_describe_start(media *m);
/* What m->packet brings with it that is new. */
void media_describe_packet(media *m, uint32_t number);
/* If m->packet shows that the video goes on in another stream, or by another codec, so does the decoder. Gives an exit
 * code, after a message. skip: the packet is for nobody. */
int media_follow_video(media *m, bool *skip);
void media_track_free(media *m);

/* media_codec.c */
/* The input was opened. */
void media_codec_begin(media *m);
/* Whether m->packet, which has just been read, is of another codec than its stream; m->reason. */
bool media_codec_changed(media *m);
/* Whether the input ended for that and goes on where it was, if it is opened again: it is live, or a pipe. */
bool media_codec_again(const media *m);

/* media_sets.c */
/* A copy of m->packet, with its parameter sets as AV_PKT_DATA_NEW_EXTRADATA, if some of them are not among those known.
 * NULL: none is new. The caller frees it. */
AVPacket *media_sets_of_packet(media *m, const uint8_t *known, size_t known_size);

/* media_order.c */
/* Where the picture of m->packet, which is the video's, is in the order in which pictures are shown. Gives by how much
 * that usually grows from one to the next; 0: it is not known. */
int media_order_of(media *m, int64_t *count);
void media_order_close(media *m);

/* media_packet.c */
/* A time of the source, in units of time_base, to ns; what cannot be is CUFRAMES_NO_TIME. */
int64_t media_source_ns(int64_t value, AVRational time_base);
/* Before FFmpeg looks what is in the input: it need not find out what its times are worth, where that is known. */
void media_times_probe(media *m);
/* The input was opened: what its times are worth. */
void media_times_begin(media *m, bool is_finite);
/* m->packet has just been read. */
void media_times_read(media *m);
/* Whether m->packet is the one before it of its stream once more; it is remembered for the next one. */
bool media_is_repeated(media *m);
void media_repeated_forget(media *m);
/* Gives m->packet, and so the pictures that come of it, its times as published, and publishes it. */
void media_publish_packet(media *m);

/* media_hold.c */
/* Whether m->packet was taken, to be given out by media_take_held() with those before it. */
bool media_hold(media *m);
/* The next one into m->packet. False: there is none, or it must wait. */
bool media_take_held(media *m);
void media_hold_drop(media *m);

/* media_side.c */
/* Remembers when the picture of m->packet, which is the video's and has its times, was taken, if it says so. */
void media_side_note(media *m);
/* Times are as much later from this one on. */
void media_side_shift(media *m, int64_t from, int64_t by);
/* The times of m->packet's stream, or of that packet alone, have jumped by so much, which is taken out of its pts. */
void media_side_jumped(media *m, int64_t by);
void media_side_forget(media *m);
/* CUFRAMES_NO_TIME: not known. */
int64_t media_side_capture_time(const media *m, const AVFrame *frame);
/* What m->frame carries, as far as --side-data has room. */
void media_side_copy(media *m, cuframes_frame *slot);

/* media_frame.c. Give exit codes, after a message. */
/* The first format from what the container says, if it says enough. */
int media_publish_early(media *m);
/* Publishes m->frame, which may be a GPU's. */
int media_publish_frame(media *m);
/* CUFRAMES_PIXEL_NONE: we have none like it. */
uint32_t media_our_format(enum AVPixelFormat format);
void media_frame_free(media *m);

#endif
