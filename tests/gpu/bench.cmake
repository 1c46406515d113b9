# The program cuframes-gpu-bench and the one that sums up decoded frames for tests/gpu/nvdec.
if(NOT TARGET cuframes_static OR NOT TARGET cuframes_vision)
  return()
endif()

# It shares samples, processes and report with bench/, and takes the driver's table from src/device/cuda.
file(GLOB gpu_bench_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/bench*.c)
foreach(part crew report samples)
  list(APPEND gpu_bench_sources ${PROJECT_SOURCE_DIR}/bench/${part}.c)
endforeach()
add_executable(cuframes-gpu-bench ${gpu_bench_sources})
target_include_directories(cuframes-gpu-bench PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(cuframes-gpu-bench PRIVATE
  BENCH_TORCH="${CMAKE_CURRENT_LIST_DIR}/bench_torch.py" BENCH_VISION="${CMAKE_CURRENT_LIST_DIR}/bench_vision.py")
# The library as it is shipped, and of the static one no more than that table.
target_link_libraries(cuframes-gpu-bench PRIVATE
  cuframes cuframes_vision cuframes_static cuframes_flags Threads::Threads m)

add_executable(gpu_frame_sums ${CMAKE_CURRENT_LIST_DIR}/frame_sums.c)
set_target_properties(gpu_frame_sums PROPERTIES
  OUTPUT_NAME frame_sums RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/gpu)
target_link_libraries(gpu_frame_sums PRIVATE cuframes_static cuframes_flags)
set_target_properties(cuframes-gpu-bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/gpu)

# From GStreamer to GStreamer; tests/gpu/gstreamer/prepare builds it in the system whose GStreamer it measures.
find_package(PkgConfig)
if(TARGET gstcuframes AND CUFRAMES_GSTCUDA)
  pkg_check_modules(gstreamer_peers QUIET IMPORTED_TARGET gstreamer-cuda-1.0 gstreamer-video-1.0)
  add_executable(gstreamer-peers ${CMAKE_CURRENT_LIST_DIR}/gstreamer/peers.c)
  set_target_properties(gstreamer-peers PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/gpu)
  target_include_directories(gstreamer-peers BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/integrations/gstreamer/gpu/types)
  target_link_libraries(gstreamer-peers PRIVATE cuframes_flags PkgConfig::gstreamer_peers)
  if(TARGET standin AND NOT CUFRAMES_SANITIZE AND NOT CUFRAMES_COVERAGE)
    add_dependencies(gstreamer-peers gstcuframes standin)
    cuframes_test(gpu/gstreamer ${CMAKE_CURRENT_LIST_DIR}/gstreamer/smoke ${PROJECT_BINARY_DIR})
  endif()
endif()

# That it runs and says something sane, over the stand-in for CUDA: no times, they mean nothing there.
if(TARGET standin AND NOT CUFRAMES_SANITIZE AND NOT CUFRAMES_COVERAGE)
  cuframes_test(gpu/bench ${CMAKE_CURRENT_LIST_DIR}/bench_smoke $<TARGET_FILE:cuframes-gpu-bench>
    $<TARGET_FILE_DIR:standin>)
  set_tests_properties(gpu/bench PROPERTIES RUN_SERIAL ON)
endif()
