/* audio_encoder.h - encoded sound into AAC: decoded, brought to what the encoder takes, encoded.
 *
 * Times stay the sound's. A gap stays a gap: silence stands only where a frame of the encoder is begun before it and
 * not full, and there it is shorter than that frame. Sound that comes twice is left out. */
#ifndef CUFRAMES_AUDIO_ENCODER_H
#define CUFRAMES_AUDIO_ENCODER_H

#include <stdbool.h>
#include <stddef.h>

#include <libavcodec/avcodec.h>

typedef struct audio_encoder audio_encoder;

/* For packets as `from` says, times in ns. *to becomes what comes out. NULL: *problem says why. */
audio_encoder *audio_encoder_create(const AVCodecParameters *from, AVCodecParameters *to, char *problem, size_t size);

/* From here on packets are as `from` says; what comes out stays the same. False: cannot be decoded. */
bool audio_encoder_change(audio_encoder *e, const AVCodecParameters *from);

/* Takes a packet, or NULL for the end. 0 or an AVERROR; a packet that cannot be decoded is none. */
int audio_encoder_send(audio_encoder *e, const AVPacket *packet);

/* AVERROR(EAGAIN): send more; AVERROR_EOF: that was all. Times in ns. */
int audio_encoder_receive(audio_encoder *e, AVPacket *packet);

/* NULL is fine. */
void audio_encoder_free(audio_encoder *e);

#endif
