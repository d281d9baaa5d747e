# Intel's library of hashes that run side by side, for processors of x86-64. The target silosum_ipsec_mb is there where it is used.
if(NOT SILOSUM_IPSEC_MB)
  return()
endif()
find_path(SILOSUM_IPSEC_MB_INCLUDE intel-ipsec-mb.h HINTS ENV IPSEC_MB_HOME PATH_SUFFIXES include)
find_library(SILOSUM_IPSEC_MB_LIBRARY IPSec_MB HINTS ENV IPSEC_MB_HOME PATH_SUFFIXES lib lib64)
set(why_no_ipsec_mb)
if(NOT SILOSUM_IPSEC_MB_INCLUDE OR NOT SILOSUM_IPSEC_MB_LIBRARY)
  set(why_no_ipsec_mb "intel-ipsec-mb.h or libIPSec_MB is not found: set IPSEC_MB_HOME")
else()
  # Calls have changed from version to version: what is called has to be there.
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_INCLUDES "${SILOSUM_IPSEC_MB_INCLUDE}")
  set(CMAKE_REQUIRED_LIBRARIES "${SILOSUM_IPSEC_MB_LIBRARY}")
  unset(SILOSUM_IPSEC_MB_COMPILES CACHE)  # the library may be another one now
  check_cxx_source_compiles([[
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
int main() {
    static_assert(IMB_VERSION_NUM >= 0x10300);
    IMB_MGR* const lanes = alloc_mb_mgr(0);
    init_mb_mgr_auto(lanes, nullptr);
    IMB_JOB* const job = IMB_GET_NEXT_JOB(lanes);
    *job = {};
    job->hash_alg = IMB_AUTH_SHA_256;
    const IMB_JOB* const done = IMB_SUBMIT_JOB(lanes);
    gcm_key_data schedule{};
    gcm_context_data context{};
    const unsigned char key[16] = {};
    unsigned char tag[16];
    IMB_AES128_GCM_PRE(lanes, key, &schedule);
    IMB_AES128_GMAC_INIT(lanes, &schedule, &context, key, 12);
    IMB_AES128_GMAC_UPDATE(lanes, &schedule, &context, key, 16);
    IMB_AES128_GMAC_FINALIZE(lanes, &schedule, &context, tag, 16);
    return imb_get_errno(lanes) + static_cast<int>(done == IMB_FLUSH_JOB(lanes));
}]] SILOSUM_IPSEC_MB_COMPILES)
  unset(CMAKE_REQUIRED_INCLUDES)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT SILOSUM_IPSEC_MB_COMPILES)
    set(why_no_ipsec_mb "${SILOSUM_IPSEC_MB_LIBRARY} with the header in ${SILOSUM_IPSEC_MB_INCLUDE} does not offer what 1.3 to 2.0 do: set IPSEC_MB_HOME")
  endif()
endif()
if(NOT why_no_ipsec_mb)
  add_library(silosum_ipsec_mb INTERFACE)
  target_include_directories(silosum_ipsec_mb SYSTEM INTERFACE "${SILOSUM_IPSEC_MB_INCLUDE}")
  target_link_libraries(silosum_ipsec_mb INTERFACE "${SILOSUM_IPSEC_MB_LIBRARY}")
  return()
endif()
foreach(found SILOSUM_IPSEC_MB_INCLUDE SILOSUM_IPSEC_MB_LIBRARY)
  unset(${found} CACHE)  # looked for again next time
endforeach()
if(NOT SILOSUM_IPSEC_MB STREQUAL "AUTO")
  message(FATAL_ERROR "SILOSUM_IPSEC_MB is ON, but ${why_no_ipsec_mb}, or configure with -DSILOSUM_IPSEC_MB=OFF")
endif()
message(STATUS "No ipsec-mb: ${why_no_ipsec_mb}")
