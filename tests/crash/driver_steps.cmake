# Makes driver_steps.h of the list of the CUDA driver's functions: in the library compiled with it, each call of one of
# them is a step. A call begins with its table, `cu->cuMemAlloc(...)`, which a macro does not see; so the step stands
# in the first argument. "After" a call is before the next step: nothing in between is seen by others.
#
# driver_steps(functions.h driver_steps.h)
function(driver_steps list header)
  file(READ ${list} text)
  string(REGEX REPLACE "[ \t]*\\\\\n[ \t]*" " " text "${text}")
  string(REGEX MATCHALL "F\\((REQUIRED|OPTIONAL), cu[A-Za-z0-9]+, [^()]*\\([^()]*\\)\\)" entries "${text}")
  set(macros "/* Made by driver_steps.cmake. */\n")
  foreach(entry ${entries})
    string(REGEX REPLACE "^F\\([A-Z]+, ([A-Za-z0-9]+),.*" "\\1" name "${entry}")
    if(entry MATCHES "\\(void\\)\\)$") # no argument; its table must be called so
      string(APPEND macros "#define ${name}() version * 0 + (CRASH_STEP(\"${name}\"), cuda->driver.${name})()\n")
    elseif(entry MATCHES "\\([^()]*,[^()]*\\)\\)$")
      string(APPEND macros "#define ${name}(first, ...) ${name}((CRASH_STEP(\"${name}\"), (first)), __VA_ARGS__)\n")
    else()
      string(APPEND macros "#define ${name}(first) ${name}((CRASH_STEP(\"${name}\"), (first)))\n")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${header} CONTENT "${macros}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
endfunction()
