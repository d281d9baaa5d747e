"""Spack recipe for silosum. Put it into a local Spack repository as packages/silosum/package.py, then build a checkout with
`spack dev-build --source-path CHECKOUT silosum@0.1.0`."""
from spack.package import *


class Silosum(CMakePackage):
    """Federated training over MPI: silos train one model on their own data, joined by an exact integer sum."""

    license("Apache-2.0")
    maintainers = []

    version("0.1.0")

    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("mpi@3.1:")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("boost@1.74: +program_options")
    depends_on("fmt@9:")
    depends_on("nlohmann-json@3.11:")
    depends_on("openssl@3:")
    depends_on("libsodium")
    depends_on("pkgconfig", type="build")
    depends_on("highway@1.0.3:")
    depends_on("zlib-api")
    depends_on("googletest@1.12: +gmock", when="+tests", type="build")
    depends_on("python@3.9:", when="+tests", type="build")

    conflicts("%gcc@:11", msg="C++20 as used here needs GCC 12 or Clang 14")

    generator("ninja")

    def cmake_args(self):
        return [self.define_from_variant("SILOSUM_TESTS", "tests"), self.define("SILOSUM_WERROR", False), self.define("SILOSUM_IPSEC_MB", "OFF")]

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def check_version(self):
        Executable(self.prefix.bin.silosum)("--version")
