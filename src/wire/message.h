/* wire/message.h - the messages of the rendezvous socket, as structs; codec.c turns them into bytes and back.
 *
 * Pure: bytes in, structs out. No allocation, no I/O, no clock. Byte layout: docs/protocol.md.
 * Everything decoded was checked: lengths capped, strings terminated and printable, enums left as they came.
 * A field that the sender did not send is zero.
 */
#ifndef CF_WIRE_MESSAGE_H
#define CF_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CF_WIRE_MAGIC 0x52465543u /* "CUFR" */
#define CF_WIRE_VERSION_MIN 3u
#define CF_WIRE_VERSION_MAX 3u
/* Largest message; a SOCK_SEQPACKET message must also fit the socket's buffer. */
#define CF_WIRE_MESSAGE_MAX (128u * 1024u)
/* Most descriptors beside one message. */
#define CF_WIRE_FDS_MAX 2u

enum cf_message_type {
  CF_MSG_HELLO = 1,       /* subscriber or monitor: first message */
  CF_MSG_WELCOME = 2,     /* publisher: admitted; descriptors control, seat (subscribers only) */
  CF_MSG_REFUSED = 3,     /* publisher: any request refused, code and sentence */
  CF_MSG_GET_SEGMENT = 4, /* -> SEGMENT, descriptor of its memory */
  CF_MSG_SEGMENT = 5,
  CF_MSG_GET_PACKETS = 6, /* -> PACKETS, descriptor of the packet region */
  CF_MSG_PACKETS = 7,
  CF_MSG_GET_CODEC = 8, /* -> CODEC */
  CF_MSG_CODEC = 9,
  CF_MSG_GET_INFO = 10, /* -> INFO */
  CF_MSG_INFO = 11,
  CF_MSG_GET_EVENTS = 12, /* -> EVENTS: of the slots of a segment, for sync mode slot-events */
  CF_MSG_EVENTS = 13,
  CF_MSG_GET_SIDE_DATA = 14, /* -> SIDE_DATA, descriptor of the memory of a segment's side data */
  CF_MSG_SIDE_DATA = 15
};

enum cf_role { CF_ROLE_SUBSCRIBER = 1, CF_ROLE_MONITOR = 2 };

/* How a segment's memory is handed over. */
enum cf_memory_kind {
  CF_MEMORY_FD = 0,     /* by the descriptor beside SEGMENT: a memfd, or VMM memory of a GPU */
  CF_MEMORY_LEGACY = 1, /* by a cuIpcMemHandle of the whole allocation */
  CF_MEMORY_POOL = 2    /* by the descriptor of a CUDA memory pool, and a handle of the pointer in it */
};

#define CF_LABEL_BYTES 64u
#define CF_TEXT_BYTES 256u
#define CF_DEVICE_BYTES 64u
#define CF_NAME_BYTES 64u
#define CF_CODEC_BYTES 32u
#define CF_HELD_MAX 64u
#define CF_HANDLE_WORDS 16u
#define CF_HANDLE_BYTES 64u /* of CUDA's handles for other processes */
#define CF_EVENTS_BYTES (CF_HANDLE_BYTES * 1024u)
#define CF_MEMORY_BYTES 16u

typedef struct cf_bytes { /* points into the message that was decoded */
  const uint8_t *data;
  uint32_t length;
} cf_bytes;

typedef struct cf_msg_hello {
  uint32_t version_min, version_max; /* protocol versions the sender speaks */
  uint64_t features;                 /* feature bits it would like */
  uint32_t role;                     /* enum cf_role */
  uint32_t mode;                     /* enum cuframes_mode */
  uint32_t leases, depth;            /* wanted */
  uint32_t sync_modes;               /* bits of enum cuframes_sync it can do */
  char label[CF_LABEL_BYTES];
  uint32_t sync_asked; /* bits that its user asked for, if it can do fewer; only shown. 0: sync_modes */
} cf_msg_hello;

typedef struct cf_msg_welcome {
  uint32_t version;       /* the one to speak */
  uint64_t features;      /* the common ones */
  uint32_t sync_mode;     /* one of enum cuframes_sync */
  uint32_t leases, depth; /* granted */
  uint64_t control_bytes, seat_bytes;
  char device[CF_DEVICE_BYTES];
  uint64_t instance; /* random; differs between publishers of one name */
} cf_msg_welcome;

typedef struct cf_msg_refused {
  int32_t code; /* enum cuframes_error */
  char text[CF_TEXT_BYTES];
} cf_msg_refused;

typedef struct cf_msg_get_segment {
  uint32_t segment;
} cf_msg_get_segment;

/* A picture's format: no message, but fields of SEGMENT and INFO. */
typedef struct cf_msg_format {
  uint32_t pixel_format, width, height;
  uint32_t color; /* matrix | range << 8 | primaries << 16 | transfer << 24 */
  uint32_t pitch[4];
  uint64_t offset[4]; /* of the planes in a frame */
  uint32_t chroma_location, field_order, orientation;
  uint32_t sample_aspect[2]; /* numerator, denominator */
  uint32_t element;          /* of a tensor */
  uint32_t dims;             /* how many of the sizes there are */
  uint32_t size[4];
} cf_msg_format;

typedef struct cf_msg_segment {
  uint32_t segment;
  uint64_t bytes; /* of the whole segment */
  cf_msg_format format;
  uint32_t memory; /* enum cf_memory_kind */
  uint32_t handle_words;
  uint32_t handle[CF_HANDLE_WORDS]; /* of CF_MEMORY_LEGACY and _POOL, its bytes as they are in memory */
  uint64_t start, whole;            /* the segment begins at byte `start` of an allocation of `whole` bytes */
} cf_msg_segment;

typedef struct cf_msg_get_events {
  uint32_t segment;
} cf_msg_get_events;

typedef struct cf_msg_events {
  uint32_t segment;
  cf_bytes handles; /* 64 bytes for each slot of the segment */
  uint64_t stride;  /* bytes from one slot to the next */
} cf_msg_events;

typedef struct cf_msg_get_side_data {
  uint32_t segment;
} cf_msg_get_side_data;

typedef struct cf_msg_side_data {
  uint32_t segment;
  uint64_t bytes; /* of the side data of all its frames */
} cf_msg_side_data;

typedef struct cf_msg_get_packets {
  uint32_t reserved;
} cf_msg_get_packets;

typedef struct cf_msg_packets {
  uint64_t bytes; /* of the whole region */
  uint32_t track_count;
} cf_msg_packets;

typedef struct cf_msg_get_codec {
  uint32_t track;
} cf_msg_get_codec;

typedef struct cf_msg_codec {
  uint32_t track, track_count;
  uint32_t media_type;
  char codec[CF_CODEC_BYTES];
  uint32_t profile, level, width, height, frame_rate_num, frame_rate_den;
  uint32_t sample_rate, channels, frame_size, time_base_num, time_base_den;
  uint64_t bit_rate;
  cf_bytes extradata; /* at most CUFRAMES_EXTRADATA_MAX (65536) bytes */
  uint32_t color, chroma_location, field_order, orientation, sample_aspect[2]; /* as in cf_msg_format */
  uint32_t mastering_display[10], content_light[2];                            /* fields of those, in their order */
} cf_msg_codec;

typedef struct cf_msg_get_info {
  uint32_t reserved;
} cf_msg_get_info;

typedef struct cf_msg_info {
  char name[CF_NAME_BYTES];
  char device[CF_DEVICE_BYTES];
  char description[CF_TEXT_BYTES];
  int32_t pid;
  cf_msg_format format;      /* of new frames */
  uint64_t frame_rate_micro; /* frames per 10^6 seconds, measured */
  uint64_t frames, dropped, evictions;
  int64_t timestamp; /* of the newest frame, CLOCK_MONOTONIC ns; 0: none yet */
  uint32_t slots, max_slots, slots_pinned, segments;
  uint64_t memory_bytes, packets, packet_bytes;
  uint32_t packet_slots;
  uint64_t packet_data_bytes;
  char memory[CF_MEMORY_BYTES]; /* how frames are shared, for people */
  uint32_t source_state;        /* enum cuframes_source_state */
  int64_t source_since;         /* CLOCK_MONOTONIC ns */
  int64_t source_attempt;       /* CLOCK_MONOTONIC ns; 0: none is planned */
  char source_reason[CF_TEXT_BYTES];
  uint64_t reconnects;
  int64_t started; /* CLOCK_MONOTONIC ns */
  uint64_t device_bytes;
} cf_msg_info;

/* INFO carries these as repeated groups after its own fields. */
typedef struct cf_info_seat {
  char label[CF_LABEL_BYTES];
  uint32_t mode;
  int32_t pid;
  uint32_t uid, gid;
  uint32_t leases, depth, packets, evicted, sync_mode;
  uint64_t lag, delivered, skipped;
  uint32_t held_count;
  uint32_t held[CF_HELD_MAX]; /* slot numbers, held_count of them */
  uint32_t sync_asked;        /* bits, as in its HELLO */
  uint64_t packets_read, packets_lost;
} cf_info_seat;

typedef struct cf_info_track {
  uint32_t media_type;
  char codec[CF_CODEC_BYTES];
  uint64_t packets;
  int64_t timestamp; /* of the newest packet, CLOCK_MONOTONIC ns; 0: none yet */
  uint64_t bit_rate; /* measured */
  uint64_t keyframe_interval;
  uint32_t keyframe_frames;
  uint64_t keyframe_longest;
  uint32_t keyframe_longest_frames;
  int64_t keyframe_timestamp; /* when the newest one came, CLOCK_MONOTONIC ns; 0: none yet */
} cf_info_track;

#define CF_LATENCY_BUCKETS 16u

typedef struct cf_info_mode { /* all subscribers of a mode, so far */
  uint32_t mode;
  uint64_t joined, delivered, skipped;
  uint64_t latency_sum; /* ns */
  uint64_t latency[CF_LATENCY_BUCKETS];
  uint64_t packets_read, packets_lost;
} cf_info_mode;

enum cf_info_group { CF_GROUP_SEAT = 1, CF_GROUP_TRACK = 2, CF_GROUP_MODE = 3 };

/* Writes a message of `type` with the fields of its struct into buffer. Gives its length, 0 if it does not fit
 * or the type is unknown. Zero fields are left out. */
size_t cf_message_encode(uint32_t type, const void *fields, uint8_t *buffer, size_t capacity);

/* Appends a group to an encoded message of *length bytes (INFO only). False, and nothing changed, if it does not
 * fit. */
bool cf_message_append(enum cf_info_group group, const void *fields, uint8_t *buffer, size_t *length, size_t capacity);

/* The type of a message whose header and TLV chain are sound, 0 if they are not: wrong magic, length other than
 * the bytes that came, a TLV that runs over the end. An unknown type is given as it is. */
uint32_t cf_message_type(const uint8_t *message, size_t length);

/* Fills the struct of `type` from a message. False if it is unsound, of another type, or a field has the wrong
 * length or breaks its cap. Unknown TLVs are skipped. fields is untouched on failure. */
bool cf_message_decode(uint32_t type, const uint8_t *message, size_t length, void *fields);

/* Steps through the groups of an INFO message: *cursor starts at 0. False at the end or at a malformed group;
 * cf_message_decode() refuses a message with one of those, so after it false is the end. */
bool cf_message_next_group(enum cf_info_group group, const uint8_t *message, size_t length, size_t *cursor,
                           void *fields);

#endif
