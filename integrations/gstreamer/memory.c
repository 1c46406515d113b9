/* memory.c - see memory.h. */
#include "memory.h"

#include <string.h>

#include "format.h"
#include "plugin.h"

#define GST_CAT_DEFAULT cf_gst_debug

#define TYPE_NAME "CuframesMemory"
#define SLOT_ALIGN 63 /* as GstAllocationParams has it: slots begin at multiples of 64 bytes */

typedef struct slot_memory {
  GstMemory memory;
  cf_gst_stream *stream;
  cf_gst_slot slot; /* of a share: no frame */
  guint8 *data;
} slot_memory;

struct _GstCuframesAllocator {
  GstAllocator parent;
  cf_gst_stream *stream;
  cuframes_format format;
  gsize size;
  gint prepared;
};

G_DEFINE_FINAL_TYPE(GstCuframesAllocator, cf_gst_allocator, GST_TYPE_ALLOCATOR)

/* ---- memory ---- */

static gpointer memory_map(GstMemory *memory, gsize size, GstMapFlags flags) {
  (void)size;
  (void)flags; /* READONLY is looked at before */
  return ((slot_memory *)memory)->data;
}

static void memory_unmap(GstMemory *memory) {
  (void)memory;
}

static slot_memory *memory_new(GstAllocator *allocator, cf_gst_stream *stream, GstMemory *parent, guint8 *data,
                               gsize maxsize, gsize offset, gsize size) {
  slot_memory *made = g_new0(slot_memory, 1);
  const GstMemoryFlags flags = parent ? (GstMemoryFlags)(GST_MINI_OBJECT_FLAGS(parent) | GST_MEMORY_FLAG_READONLY) : 0;
  gst_memory_init(GST_MEMORY_CAST(made), flags, allocator, parent, maxsize, SLOT_ALIGN, offset, size);
  made->stream = cf_gst_stream_ref(stream);
  made->data = data;
  return made;
}

static GstMemory *memory_share(GstMemory *memory, gssize offset, gssize size) {
  slot_memory *whole = (slot_memory *)memory;
  GstMemory *parent = memory->parent ? memory->parent : memory;
  const gsize length = size < 0 ? memory->size - (gsize)offset : (gsize)size;
  return GST_MEMORY_CAST(memory_new(memory->allocator, whole->stream, parent, whole->data, memory->maxsize,
                                    memory->offset + (gsize)offset, length));
}

/* Published ones are copied for somebody who wants to write, into ordinary memory. One that is not yet may be copied
 * for being written still as GStreamer knows: FFmpeg's decoders push what they hold mapped. What is pushed is the copy
 * then, and so it is a slot, too, where there is one. */
static GstMemory *copy_target(GstMemory *memory, gsize length) {
  const slot_memory *from = (slot_memory *)memory;
  GstAllocationParams params = { .align = SLOT_ALIGN };
  GstMemory *slot = NULL;
  if (from->slot.frame && !from->slot.published && length == memory->size)
    slot = cf_gst_allocator_take(CF_GST_ALLOCATOR(memory->allocator));
  return slot ? slot : gst_allocator_alloc(NULL, length, &params);
}

static GstMemory *memory_copy(GstMemory *memory, gssize offset, gssize size) {
  const gsize length = size < 0 ? memory->size - (gsize)offset : (gsize)size;
  GstMemory *copy = copy_target(memory, length);
  GstMapInfo map;
  if (!copy || !gst_memory_map(copy, &map, GST_MAP_WRITE)) {
    g_clear_pointer(&copy, gst_memory_unref);
    return NULL;
  }
  memcpy(map.data, ((slot_memory *)memory)->data + memory->offset + offset, length);
  gst_memory_unmap(copy, &map);
  return copy;
}

static gboolean memory_is_span(GstMemory *first, GstMemory *second, gsize *offset) {
  if (offset)
    *offset = first->offset - first->parent->offset;
  return ((slot_memory *)first)->data + first->offset + first->size == ((slot_memory *)second)->data + second->offset;
}

static void memory_free(GstAllocator *allocator, GstMemory *memory) {
  slot_memory *freed = (slot_memory *)memory;
  (void)allocator;
  if (freed->slot.frame)
    cf_gst_stream_let_go(freed->stream, &freed->slot);
  cf_gst_stream_unref(freed->stream);
  g_free(freed);
}

static gboolean is_slot(const GstMemory *memory) {
  return memory->allocator && CF_GST_IS_ALLOCATOR(memory->allocator);
}

cf_gst_slot *cf_gst_memory_slot(GstMemory *memory, cf_gst_stream *stream, cuframes_format *layout) {
  slot_memory *found = (slot_memory *)memory;
  if (!is_slot(memory) || found->stream != stream || !found->slot.frame || memory->offset != 0)
    return NULL;
  *layout = CF_GST_ALLOCATOR(memory->allocator)->format;
  return &found->slot;
}

/* ---- allocator ---- */

guint64 cf_gst_format_bytes(const cuframes_format *format) {
  const int planes = cuframes_pixel_format_planes(format->pixel_format);
  guint64 end = 0;
  for (int i = 0; i < planes; i++) {
    uint32_t rows = 0;
    (void)cuframes_format_plane_size(format, i, NULL, &rows); /* 0 rows of a format that cannot be */
    end = MAX(end, format->offset[i] + (guint64)format->pitch[i] * rows);
  }
  return end + format->padding;
}

GstAllocator *cf_gst_allocator_new(cf_gst_stream *stream, const cuframes_format *format, gsize size) {
  GstCuframesAllocator *allocator = g_object_new(CF_GST_TYPE_ALLOCATOR, NULL);
  gst_object_ref_sink(allocator);
  allocator->stream = cf_gst_stream_ref(stream);
  allocator->format = *format;
  allocator->size = size;
  return GST_ALLOCATOR_CAST(allocator);
}

int cf_gst_allocator_prepare(GstCuframesAllocator *allocator) {
  g_atomic_int_set(&allocator->prepared, TRUE);
  return cf_gst_stream_set_format(allocator->stream, &allocator->format);
}

gboolean cf_gst_is_laid_out(const cuframes_format *slot, const cuframes_format *wanted) {
  return slot->pixel_format == wanted->pixel_format && slot->width == wanted->width && slot->height == wanted->height &&
         memcmp(slot->pitch, wanted->pitch, sizeof slot->pitch) == 0 &&
         memcmp(slot->offset, wanted->offset, sizeof slot->offset) == 0;
}

GstMemory *cf_gst_allocator_take(GstCuframesAllocator *allocator) {
  cf_gst_slot slot;
  if ((!g_atomic_int_get(&allocator->prepared) && cf_gst_allocator_prepare(allocator) != CUFRAMES_OK) ||
      cf_gst_stream_acquire(allocator->stream, TRUE, &slot) != CUFRAMES_OK) {
    GST_LOG_OBJECT(allocator, "no slot: %s", cuframes_last_error());
    return NULL;
  }
  if (!cf_gst_is_laid_out(cuframes_frame_format(slot.frame), &allocator->format)) {
    GST_LOG_OBJECT(allocator, "no slot: they have another layout by now");
    cf_gst_stream_let_go(allocator->stream, &slot);
    return NULL;
  }
  guint8 *data = (guint8 *)cuframes_frame_plane(slot.frame, 0) - allocator->format.offset[0];
  slot_memory *made = memory_new(GST_ALLOCATOR_CAST(allocator), allocator->stream, NULL, data,
                                 (gsize)cf_gst_format_bytes(&allocator->format), 0, allocator->size);
  made->slot = slot;
  return GST_MEMORY_CAST(made);
}

static GstMemory *allocator_alloc(GstAllocator *base, gsize size, GstAllocationParams *params) {
  GstCuframesAllocator *allocator = CF_GST_ALLOCATOR(base);
  GstMemory *slot = NULL;
  if (size == allocator->size && params->prefix == 0 && params->padding == 0 &&
      (params->align & ~(gsize)SLOT_ALIGN) == 0)
    slot = cf_gst_allocator_take(allocator);
  if (slot)
    return slot;
  cf_gst_stream_count(allocator->stream, CF_GST_ORDINARY);
  return gst_allocator_alloc(NULL, size, params);
}

static void cf_gst_allocator_finalize(GObject *object) {
  cf_gst_stream_unref(CF_GST_ALLOCATOR(object)->stream);
  G_OBJECT_CLASS(cf_gst_allocator_parent_class)->finalize(object);
}

static void cf_gst_allocator_class_init(GstCuframesAllocatorClass *class) {
  G_OBJECT_CLASS(class)->finalize = cf_gst_allocator_finalize;
  GST_ALLOCATOR_CLASS(class)->alloc = allocator_alloc;
  GST_ALLOCATOR_CLASS(class)->free = memory_free;
}

static void cf_gst_allocator_init(GstCuframesAllocator *allocator) {
  GstAllocator *base = GST_ALLOCATOR_CAST(allocator);
  base->mem_type = TYPE_NAME;
  base->mem_map = memory_map;
  base->mem_unmap = memory_unmap;
  base->mem_share = memory_share;
  base->mem_copy = memory_copy;
  base->mem_is_span = memory_is_span;
}
