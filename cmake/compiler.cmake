# Language level, warnings, sanitizers and coverage for everything in this project.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(cuframes_flags INTERFACE)
target_compile_definitions(cuframes_flags INTERFACE _GNU_SOURCE)
target_compile_options(cuframes_flags INTERFACE
  -Wall -Wextra -Wshadow -Wpointer-arith -Wvla
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<BOOL:${CUFRAMES_WERROR}>:-Werror>)

if(CUFRAMES_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
elseif(CUFRAMES_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # It says that it does not follow fences; what that may report is in cmake/tsan.supp.
    target_compile_options(cuframes_flags INTERFACE -Wno-tsan)
  endif()
elseif(CUFRAMES_SANITIZE)
  message(FATAL_ERROR "CUFRAMES_SANITIZE is '${CUFRAMES_SANITIZE}'; it takes 'address', 'thread' or nothing")
endif()
if(CUFRAMES_COVERAGE)
  list(APPEND sanitize --coverage -fprofile-update=atomic)
  # tests/support/child.c asks for it by a weak name, which alone takes nothing out of an archive.
  target_link_options(cuframes_flags INTERFACE LINKER:--undefined=__gcov_dump)
endif()
if(CUFRAMES_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "CUFRAMES_FUZZ needs clang (CC=clang); this is ${CMAKE_C_COMPILER_ID}")
  endif()
  target_compile_options(cuframes_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_compile_options(cuframes_flags INTERFACE ${sanitize})
target_link_options(cuframes_flags INTERFACE ${sanitize})
