# What `cmake --install` puts where: libraries, headers, program, CMake package, pkg-config file and documents.
if(NOT TARGET cuframes)
  return()
endif()
include(CMakePackageConfigHelpers)

install(TARGETS cuframes cuframes_static cuframes_cpp EXPORT cuframes-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/cuframes DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp"
  PATTERN "vision" EXCLUDE PATTERN "vision.h" EXCLUDE)
if(TARGET cuframes_program)
  install(TARGETS cuframes_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

if(TARGET cuframes_manual)
  set(CUFRAMES_BASH_COMPLETIONS ${CMAKE_INSTALL_DATADIR}/bash-completion/completions CACHE STRING "Directory for bash")
  set(CUFRAMES_ZSH_COMPLETIONS ${CMAKE_INSTALL_DATADIR}/zsh/site-functions CACHE STRING "Directory for zsh")
  set(CUFRAMES_FISH_COMPLETIONS ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d CACHE STRING "Directory for fish")
  set(completions ${PROJECT_BINARY_DIR}/manual/completions)
  install(FILES ${completions}/bash/cuframes DESTINATION ${CUFRAMES_BASH_COMPLETIONS})
  install(FILES ${completions}/zsh/_cuframes DESTINATION ${CUFRAMES_ZSH_COMPLETIONS})
  install(FILES ${completions}/fish/cuframes.fish DESTINATION ${CUFRAMES_FISH_COMPLETIONS})
  if(CUFRAMES_SCDOC)
    install(DIRECTORY ${PROJECT_BINARY_DIR}/manual/man/ DESTINATION ${CMAKE_INSTALL_MANDIR})
  endif()
endif()

# For systemd, which looks for them below /usr and /usr/local. Where that is another place, packages say so.
if(TARGET cuframes_program)
  set(CUFRAMES_SYSTEMD_UNITS lib/systemd/system CACHE STRING "Directory of systemd's units")
  set(systemd ${PROJECT_SOURCE_DIR}/packaging/systemd)
  file(GLOB units CONFIGURE_DEPENDS ${systemd}/*.in)
  foreach(unit ${units})
    get_filename_component(name ${unit} NAME_WLE)
    configure_file(${unit} ${PROJECT_BINARY_DIR}/systemd/${name} @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/systemd/${name} DESTINATION ${CUFRAMES_SYSTEMD_UNITS})
  endforeach()
  install(FILES ${systemd}/sysusers.conf DESTINATION lib/sysusers.d RENAME cuframes.conf)
  install(FILES ${systemd}/tmpfiles.conf DESTINATION lib/tmpfiles.d RENAME cuframes.conf)
  install(FILES ${systemd}/cameras.json DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/cuframes/examples)
  # For who watches it, where their own files can name them.
  install(FILES packaging/prometheus/cuframes.rules.yml DESTINATION ${CMAKE_INSTALL_DATADIR}/cuframes/prometheus)
  install(FILES packaging/grafana/cuframes.json DESTINATION ${CMAKE_INSTALL_DATADIR}/cuframes/grafana)
endif()

install(FILES README.md LICENSE CHANGELOG.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs examples DESTINATION ${CMAKE_INSTALL_DOCDIR}
  FILES_MATCHING PATTERN "*.md" PATTERN "*.c" PATTERN "*.cpp" PATTERN "*.hpp" PATTERN "*.cu" PATTERN "*.jpg"
  PATTERN "*.svg")

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cuframes)
install(EXPORT cuframes-targets NAMESPACE cuframes:: DESTINATION ${package_dir})
configure_package_config_file(cmake/cuframes-config.cmake.in cuframes-config.cmake INSTALL_DESTINATION ${package_dir})
# Below 1.0 a new minor version may change the interface.
write_basic_package_version_file(cuframes-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cuframes-config.cmake ${PROJECT_BINARY_DIR}/cuframes-config-version.cmake
  DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so that the tree can be installed anywhere and moved.
set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /prefix/${pc_dir} /prefix)
  string(REGEX REPLACE "/$" "" up ${up})
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
set(pc_libdir "\${prefix}")
cmake_path(APPEND pc_libdir ${CMAKE_INSTALL_LIBDIR})
set(pc_includedir "\${prefix}")
cmake_path(APPEND pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
configure_file(cmake/cuframes.pc.in cuframes.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cuframes.pc DESTINATION ${pc_dir})

# The second library has components of its own, and an export file of its own, which the package file takes in where it
# is installed: `vision` is what programs need to run, `vision-dev` what they need to be built.
if(TARGET cuframes_vision)
  install(TARGETS cuframes_vision EXPORT cuframes-vision-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT vision NAMELINK_COMPONENT vision-dev)
  install(TARGETS cuframes_vision_static EXPORT cuframes-vision-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT vision-dev)
  install(FILES include/cuframes/vision.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cuframes COMPONENT vision-dev)
  install(DIRECTORY include/cuframes/vision DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cuframes COMPONENT vision-dev
    FILES_MATCHING PATTERN "*.h")
  install(EXPORT cuframes-vision-targets NAMESPACE cuframes:: DESTINATION ${package_dir} COMPONENT vision-dev)
  configure_file(cmake/cuframes-vision.pc.in cuframes-vision.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/cuframes-vision.pc DESTINATION ${pc_dir} COMPONENT vision-dev)
endif()
