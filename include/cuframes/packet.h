/* cuframes/packet.h - encoded packets beside the frames: tracks, packets, flags. */
#ifndef CUFRAMES_PACKET_H
#define CUFRAMES_PACKET_H

#include <cuframes/format.h>
#include <cuframes/side_data.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most tracks beside one stream of frames. */
#define CUFRAMES_TRACKS_MAX 16
/** Largest extradata in bytes. */
#define CUFRAMES_EXTRADATA_MAX 65536
/** Longest codec name in bytes, without the terminating zero. */
#define CUFRAMES_CODEC_NAME_MAX 31

enum cuframes_media_type { CUFRAMES_MEDIA_VIDEO = 1, CUFRAMES_MEDIA_AUDIO = 2, CUFRAMES_MEDIA_DATA = 3 };

enum cuframes_packet_flag {
  CUFRAMES_PACKET_KEY = 1,           /**< decoding can start here */
  CUFRAMES_PACKET_DISCONTINUITY = 2, /**< first packet after the source restarted: times may jump */
  CUFRAMES_PACKET_CORRUPT = 4,       /**< the demuxer reported damage */
  CUFRAMES_PACKET_NEW_PARAMS = 8,    /**< the codec parameters changed just before this packet */
  CUFRAMES_PACKET_HIDDEN = 16,       /**< decoded for the sake of those behind it, and not to be shown or heard */
  CUFRAMES_PACKET_DISPOSABLE = 32    /**< no other one needs it to be decoded, as the source says: without it there is
                                          one picture less, and nothing else is damaged */
};

/** What a muxer or decoder must know of one track. */
typedef struct cuframes_codec_params {
  uint32_t struct_size;                    /**< set by the caller: sizeof(cuframes_codec_params) */
  uint32_t media_type;                     /**< enum cuframes_media_type */
  char codec[CUFRAMES_CODEC_NAME_MAX + 1]; /**< FFmpeg's codec name: "h264", "hevc", "aac", "opus", ... */
  uint32_t profile, level;                 /**< as in the codec's standard; UINT32_MAX: unknown */
  uint32_t width, height;                  /**< video: pixels */
  uint32_t frame_rate_num, frame_rate_den; /**< video: nominal frames per second; 0/0: unknown */
  uint32_t sample_rate, channels;          /**< audio: Hz, count */
  uint32_t frame_size;                     /**< audio: samples per packet, 0: varies */
  uint32_t time_base_num, time_base_den;   /**< the source's own time base, a hint for muxers */
  cuframes_color color;                    /**< video: this and what follows bit_rate as in cuframes_format */
  uint64_t bit_rate;                       /**< bits per second, 0: unknown */
  uint8_t chroma_location;                 /**< enum cuframes_chroma_location */
  uint8_t field_order;                     /**< enum cuframes_field_order */
  uint8_t orientation;                     /**< enum cuframes_orientation */
  uint8_t reserved8;                       /**< 0 */
  uint32_t sample_aspect_num;              /**< 1..INT32_MAX each; 0/0: not said */
  uint32_t sample_aspect_den;
  cuframes_mastering_display mastering_display; /**< video: as the container says, or its keyframes; all 0: not said */
  cuframes_content_light content_light;         /**< likewise */
  uint32_t reserved[6];                         /**< 0 */
} cuframes_codec_params;

/** A packet to publish. */
typedef struct cuframes_packet_info {
  uint32_t struct_size; /**< sizeof(cuframes_packet_info) */
  uint32_t track;       /**< index of the track */
  const void *data;     /**< copied before the call returns */
  size_t size;          /**< bytes, 1..the ring's largest packet */
  int64_t pts, dts;     /**< ns, CUFRAMES_NO_TIME if unknown */
  int64_t duration;     /**< ns, 0 if unknown */
  uint32_t flags;       /**< enum cuframes_packet_flag; NEW_PARAMS is set by the library */
  uint32_t reserved;    /**< 0 */
} cuframes_packet_info;

/** A packet in a subscriber's hand: its own copy, taken out of the shared ring. Counted, as frames are. */
typedef struct cuframes_packet cuframes_packet;

/* What a packet says of itself. Of NULL: 0, NULL or CUFRAMES_NO_TIME.
 * Thread-safety: any thread, until it is released. Blocks: never. */

/** The bytes; readable until the packet is released, followed by 64 zero bytes as decoders want. */
CUFRAMES_API const void *cuframes_packet_data(const cuframes_packet *packet);
CUFRAMES_API size_t cuframes_packet_size(const cuframes_packet *packet);
/** Index of the track. */
CUFRAMES_API uint32_t cuframes_packet_track(const cuframes_packet *packet);
/** ns or CUFRAMES_NO_TIME; the pts of the frame decoded from a video packet is the packet's. */
CUFRAMES_API int64_t cuframes_packet_pts(const cuframes_packet *packet);
CUFRAMES_API int64_t cuframes_packet_dts(const cuframes_packet *packet);
CUFRAMES_API int64_t cuframes_packet_duration(const cuframes_packet *packet);
/** Bits of enum cuframes_packet_flag. */
CUFRAMES_API uint32_t cuframes_packet_flags(const cuframes_packet *packet);
/** 1, 2, 3, ... over all tracks of the stream. */
CUFRAMES_API uint64_t cuframes_packet_seq(const cuframes_packet *packet);

/** Adds a reference, and gives the packet. NULL for NULL, and for a packet that was released.
 *  Thread-safety: any thread that holds a reference. Blocks: never. */
CUFRAMES_API cuframes_packet *cuframes_packet_ref(cuframes_packet *packet);

/** Gives a reference back, once; also after the subscriber was destroyed. NULL is fine.
 *  Thread-safety: any thread. Blocks: never. */
CUFRAMES_API void cuframes_packet_release(cuframes_packet *packet);

#ifdef __cplusplus
}
#endif
#endif
