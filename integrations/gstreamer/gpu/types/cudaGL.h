/* cudaGL.h - what the headers of GstCuda name of it; see cuda.h. */
#ifndef CUFRAMES_GST_GPU_TYPES_CUDAGL_H
#define CUFRAMES_GST_GPU_TYPES_CUDAGL_H

#include <cuda.h>

typedef int CUGLDeviceList;

#endif
