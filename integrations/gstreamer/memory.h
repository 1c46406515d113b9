/* memory.h - slots as memory of GStreamer: what upstream decodes or draws into is the published frame.
 *
 * A memory of this allocator is one open slot. Once it is published it is READONLY: whoever still has it and wants to
 * write, as an in-place filter behind a tee, gets a copy from GStreamer, and the slot is written again only when the
 * last one has let go of it. A memory that is freed unpublished gives its slot back. */
#ifndef CUFRAMES_GST_MEMORY_H
#define CUFRAMES_GST_MEMORY_H

#include <gst/gst.h>
#include <gst/video/video.h>

#include "stream.h"

G_BEGIN_DECLS

#define CF_GST_TYPE_ALLOCATOR (cf_gst_allocator_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesAllocator, cf_gst_allocator, CF_GST, ALLOCATOR, GstAllocator)

/* Gives slots of the stream for pictures that look and lie so: a format with pitches and offsets, and `size` bytes of
 * a slot that are the buffer's, as gst_video_info_align() counts them. gst_allocator_alloc() of exactly so many gives a
 * slot, too, and of others ordinary memory. */
GstAllocator *cf_gst_allocator_new(cf_gst_stream *stream, const cuframes_format *format, gsize size);

/* Lays out the slots that are opened from now on; without it the first one does so.
 * Errors: of cuframes_publisher_set_format(). */
int cf_gst_allocator_prepare(GstCuframesAllocator *allocator);

/* A slot, or NULL where there is none of that layout. */
GstMemory *cf_gst_allocator_take(GstCuframesAllocator *allocator);

/* The slot of a memory that is a whole one, and where its planes are from the start of the memory; else NULL. The
 * memory keeps it. */
cf_gst_slot *cf_gst_memory_slot(GstMemory *memory, cf_gst_stream *stream, cuframes_format *layout);

/* Whether slots still lie so: they may have become those of another size meanwhile, or lie otherwise. */
gboolean cf_gst_is_laid_out(const cuframes_format *slot, const cuframes_format *wanted);

/* Bytes from the start to behind the last plane, with the padding, of a format that says where its planes lie. */
guint64 cf_gst_format_bytes(const cuframes_format *format);

G_END_DECLS

#endif
