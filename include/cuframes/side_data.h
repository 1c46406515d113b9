/* cuframes/side_data.h - what a frame carries besides its picture: types and layouts of its blobs.
 * cuframes_frame_add_side_data() and cuframes_frame_side_data() of cuframes/frame.h write and read them.
 *
 * Layout  The structs lie in the blob as they are declared, in the byte order of the machine, with no bytes between the
 *         fields. Blobs begin at a multiple of 8 bytes.
 */
#ifndef CUFRAMES_SIDE_DATA_H
#define CUFRAMES_SIDE_DATA_H

#include <cuframes/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most bytes of side data that a frame may have room for. */
#define CUFRAMES_SIDE_DATA_MAX 65536

/** What is in a blob. Types below CUFRAMES_SIDE_DATA_APPLICATION belong to this header. */
enum cuframes_side_data {
  CUFRAMES_SIDE_DATA_SEI_USER_DATA = 1,      /**< SEI user data unregistered: 16 bytes of UUID, then what follows it */
  CUFRAMES_SIDE_DATA_A53_CAPTIONS = 2,       /**< closed captions: cc_data of ATSC A/53 part 4, in groups of 3 bytes */
  CUFRAMES_SIDE_DATA_MASTERING_DISPLAY = 3,  /**< cuframes_mastering_display */
  CUFRAMES_SIDE_DATA_CONTENT_LIGHT = 4,      /**< cuframes_content_light */
  CUFRAMES_SIDE_DATA_CAMERA_CALIBRATION = 5, /**< cuframes_camera_calibration */
  CUFRAMES_SIDE_DATA_APPLICATION = 0x10000   /**< from here on types are the application's */
};

/** Colour volume of the display that the picture was made on: the SEI message of H.265 D.2.28, in its units. */
typedef struct cuframes_mastering_display {
  uint16_t primaries[6];   /**< x and y of green, blue, red, in steps of 0.00002 */
  uint16_t white_point[2]; /**< x and y, in steps of 0.00002 */
  uint32_t max_luminance;  /**< in steps of 0.0001 cd/m2 */
  uint32_t min_luminance;  /**< in steps of 0.0001 cd/m2 */
} cuframes_mastering_display;

/** How bright the content is: the SEI message of H.265 D.2.35. */
typedef struct cuframes_content_light {
  uint16_t max_content; /**< brightest pixel (MaxCLL), cd/m2; 0: not known */
  uint16_t max_average; /**< brightest picture on average (MaxFALL), cd/m2; 0: not known */
} cuframes_content_light;

/** How a lens bends the picture; the names of the coefficients are OpenCV's. */
enum cuframes_distortion {
  CUFRAMES_DISTORTION_NONE = 0,       /**< pinhole, or it is corrected already */
  CUFRAMES_DISTORTION_BROWN = 1,      /**< k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4; what is not used is 0 */
  CUFRAMES_DISTORTION_EQUIDISTANT = 2 /**< fisheye: k1 k2 k3 k4 */
};

/** What projects a point in front of the camera onto the stored picture; pixels, from its top left corner. */
typedef struct cuframes_camera_calibration {
  double fx, fy;           /**< focal lengths */
  double cx, cy;           /**< principal point */
  uint32_t width, height;  /**< of the picture that the numbers are for */
  uint32_t distortion;     /**< enum cuframes_distortion */
  uint32_t reserved;       /**< 0 */
  double coefficients[12]; /**< of the distortion; the rest is 0 */
} cuframes_camera_calibration;

#ifdef __cplusplus
}
#endif
#endif
