# The CUDA kernels for real GPUs: silosum_cuda, a library of objects that an executable links itself (its functions are weak elsewhere,
# and weak functions draw nothing out of an archive). No such target where the build has no CUDA.

# Where nvcc is; empty without it. It compiles on machines that have no GPU.
find_program(SILOSUM_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)

if(NOT SILOSUM_CUDA)
  return()
endif()
if(SILOSUM_NVCC)
  execute_process(COMMAND "${SILOSUM_NVCC}" --version OUTPUT_VARIABLE nvcc_says ERROR_QUIET)
  string(REGEX MATCH "release ([0-9]+\\.[0-9]+)" _ "${nvcc_says}")
  set(nvcc_version "${CMAKE_MATCH_1}")
endif()
if(NOT SILOSUM_NVCC)
  set(why_no_cuda "nvcc is not found: put it on PATH or set CUDA_HOME")
elseif(NOT nvcc_version VERSION_GREATER_EQUAL 12)
  set(why_no_cuda "${SILOSUM_NVCC} is of CUDA \"${nvcc_version}\", 12 is needed: put another nvcc on PATH or set CUDA_HOME")
endif()
if(why_no_cuda AND SILOSUM_CUDA STREQUAL "AUTO")
  message(STATUS "No CUDA: ${why_no_cuda}")
  return()
elseif(why_no_cuda)
  message(FATAL_ERROR "SILOSUM_CUDA is ON, but ${why_no_cuda}; or configure with -DSILOSUM_CUDA=OFF")
endif()

set(CMAKE_CUDA_COMPILER "${SILOSUM_NVCC}")
if(NOT CMAKE_CUDA_ARCHITECTURES)
  if(nvcc_version VERSION_GREATER_EQUAL 12.8)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 100-real 100-virtual)
  else()
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 90-virtual)
  endif()
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
# CMake 3.25 does not know that nvcc has C++20; later ones do.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
set(CMAKE_CUDA_STANDARD 20)

file(GLOB cuda_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/kernels/*_cuda.cu" "${PROJECT_SOURCE_DIR}/src/device/*_cuda.cu")
add_library(silosum_cuda OBJECT ${cuda_sources} src/device/cuda_runtime.cpp)
target_include_directories(silosum_cuda PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}")
target_link_libraries(silosum_cuda PUBLIC CUDA::cudart_static PRIVATE fmt::fmt)
# Not contracted: bits must not depend on the architecture more than they have to. A kernel that spills registers, or keeps an array in
# local memory, fails the build, and so does one that computes in double outside the files that mean to.
target_compile_options(silosum_cuda PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false -Xptxas=-v,--warn-on-spills,--warn-on-local-memory-usage,--warning-as-error -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas>
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>)
if(SILOSUM_WERROR)
  target_compile_options(silosum_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xcompiler=-Werror> $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
set(files_with_doubles fixed_point loss masked_words norm optimizer_step)
foreach(source IN LISTS cuda_sources)
  cmake_path(GET source STEM family)
  string(REPLACE "_cuda" "" family "${family}")
  if(NOT family IN_LIST files_with_doubles)
    set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "-Xptxas=--warn-on-double-precision-use")
  endif()
endforeach()
# What ptxas says of registers and shared memory is kept beside each object; tests/cuda compares it with the table in docs/gpu.md.
set(launcher "${PROJECT_SOURCE_DIR}/cmake/keep_messages.sh")
if(SILOSUM_CCACHE)
  list(APPEND launcher "${SILOSUM_CCACHE}")
endif()
set_target_properties(silosum_cuda PROPERTIES CUDA_COMPILER_LAUNCHER "${launcher}")
