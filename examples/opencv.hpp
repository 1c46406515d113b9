// opencv.hpp - a frame as OpenCV has pictures, for the examples contact_sheet and opencv_viewer.
// cv::Mat looks at the planes where they lie: nothing is copied before it is converted.
#ifndef CUFRAMES_EXAMPLES_OPENCV_HPP
#define CUFRAMES_EXAMPLES_OPENCV_HPP

#include <cuframes/cuframes.hpp>
#include <opencv2/imgproc.hpp>

// A plane as OpenCV has it. It owns nothing, and OpenCV has no const ones: do not draw on it.
inline cv::Mat mat_of(const cuframes::plane_view &plane, int type) {
  const auto width = static_cast<int>(plane.row_bytes / CV_ELEM_SIZE(type));
  return { static_cast<int>(plane.rows), width, type, const_cast<std::byte *>(plane.data), plane.pitch };
}

// The picture in OpenCV's own order of colours; empty for a format that this does not know. Of one in that order it is
// the publisher's memory: clone() it to draw on it, or to keep it longer than the frame.
inline cv::Mat bgr_of(const cuframes::frame &frame) {
  cv::Mat bgr;
  switch (frame.pixel_format()) {
    case cuframes::pixel_format::bgr24: return mat_of(frame.plane(0), CV_8UC3);
    case cuframes::pixel_format::rgb24: cv::cvtColor(mat_of(frame.plane(0), CV_8UC3), bgr, cv::COLOR_RGB2BGR); break;
    case cuframes::pixel_format::gray8: cv::cvtColor(mat_of(frame.plane(0), CV_8UC1), bgr, cv::COLOR_GRAY2BGR); break;
    case cuframes::pixel_format::nv12:
      cv::cvtColorTwoPlane(mat_of(frame.plane(0), CV_8UC1), mat_of(frame.plane(1), CV_8UC2), bgr,
                           cv::COLOR_YUV2BGR_NV12);
      break;
    case cuframes::pixel_format::yuv420p: {
      cv::Mat chroma;
      cv::merge(std::vector<cv::Mat>{ mat_of(frame.plane(1), CV_8UC1), mat_of(frame.plane(2), CV_8UC1) }, chroma);
      cv::cvtColorTwoPlane(mat_of(frame.plane(0), CV_8UC1), chroma, bgr, cv::COLOR_YUV2BGR_NV12);
      break;
    }
    default: break;
  }
  return bgr;
}

#endif
