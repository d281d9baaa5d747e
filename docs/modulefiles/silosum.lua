-- Lmod module file. `cmake --install` puts it into PREFIX/share/modulefiles/silosum/VERSION.lua; then
--   module use PREFIX/share/modulefiles && module load silosum
-- It finds PREFIX from where it lies, so an installed tree may be moved as a whole.
help([[silosum trains one model over silos (hospitals, sites, ranks) with MPI; no data leaves its silo.
Configurations and examples: $SILOSUM_CONFIGS]])
whatis("Name: silosum")
whatis("Version: " .. myModuleVersion())
whatis("Description: federated training over MPI with an exact integer sum")

-- The MPI and HDF5 that silosum was built with, where a site has modules for them:
-- depends_on("openmpi", "hdf5")

local prefix = myFileName()
for _ = 1, 4 do
    prefix = prefix:match("(.*)/[^/]*$")
end
prepend_path("PATH", pathJoin(prefix, "bin"))
setenv("SILOSUM_CONFIGS", pathJoin(prefix, "share/silosum/configs"))
