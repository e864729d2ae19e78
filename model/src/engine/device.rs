//! Where and how an engine computes.

use std::path::{Path, PathBuf};

use lobar_core::compute::DeviceChoice;
use tch::{Cuda, Device};

use crate::precision::Precision;

/// Why a CUDA device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// The library could not be loaded into the process.
    #[error("libtorch's CUDA library {}: {why}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The loader's own words.
        why: String,
    },
    /// libtorch sees no device.
    #[error("no CUDA device is usable: {0}")]
    NoDevice(&'static str),
    /// Fewer devices than that.
    #[error("there is no cuda:{wanted}, this machine has {count} CUDA device(s)")]
    Index {
        /// The device asked for.
        wanted: usize,
        /// How many there are.
        count: i64,
    },
}

/// The device to compute on. With a `library` (the path of `libtorch_cuda.so`, in its place beside the
/// rest of a CUDA build of libtorch of the same version), CUDA is loaded first.
///
/// `Auto` never fails; it says in the log why it took the CPU.
///
/// # Errors
/// When a CUDA device was asked for by name and cannot be used.
pub fn resolve_device(choice: DeviceChoice, library: Option<&Path>) -> Result<Device, CudaError> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(index) => cuda(index, library),
        DeviceChoice::Auto => cuda(0, library).or_else(|error| {
            if library.is_some() {
                tracing::warn!(%error, "CUDA not usable; running on the CPU");
            } else {
                tracing::info!("no CUDA library configured; running on the CPU");
            }
            Ok(Device::Cpu)
        }),
    }
}

/// How many CUDA devices can be used; none where CUDA is not there. `library` as for [`resolve_device`].
pub fn cuda_devices(library: Option<&Path>) -> usize {
    match cuda(0, library) {
        Ok(_) => usize::try_from(Cuda::device_count()).unwrap_or(0),
        Err(_) => 0,
    }
}

fn cuda(index: usize, library: Option<&Path>) -> Result<Device, CudaError> {
    if let Some(path) = library {
        load_library(path)?;
    }
    let count = Cuda::device_count();
    if count == 0 || !Cuda::is_available() {
        return Err(CudaError::NoDevice(if library.is_some() {
            "the CUDA library was loaded but finds no driver or no GPU"
        } else {
            "this build of libtorch has no CUDA; name its libtorch_cuda.so in LOBAR_LIBTORCH_CUDA"
        }));
    }
    if index as i64 >= count {
        return Err(CudaError::Index { wanted: index, count });
    }
    Ok(Device::Cuda(index))
}

/// Loads CUDA into the process. It registers itself with the libtorch that is already there, so
/// this must happen before libtorch is first asked about CUDA.
fn load_library(path: &Path) -> Result<(), CudaError> {
    use std::os::unix::ffi::OsStrExt;
    let failed = |why: String| CudaError::Library { path: path.to_owned(), why };
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())
        .map_err(|_| failed("the path holds a zero byte".to_owned()))?;
    // SAFETY: `name` is a C string that lives through the call. The library's initialisers run:
    // the operator chose it, as it chose libtorch itself. It is never unloaded.
    #[allow(unsafe_code)] // dlopen has no safe form
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(());
    }
    // SAFETY: dlerror returns null or a C string that stays valid until this thread's next call
    // into the loader; it is copied before.
    #[allow(unsafe_code)]
    let why = unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            "unknown error".to_owned()
        } else {
            std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    };
    Err(failed(why))
}

/// Where and how, in words: `cpu bf16`, `cuda:0 bf16`.
pub(crate) fn describe(device: Device, precision: Precision) -> String {
    let place = match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    };
    format!("{place} {precision}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cuda_library_is_named_in_the_error() {
        let path = Path::new("/nowhere/libtorch_cuda.so");
        let error = resolve_device(DeviceChoice::Cuda(0), Some(path)).unwrap_err();
        assert!(matches!(error, CudaError::Library { .. }));
        assert!(error.to_string().contains("/nowhere/libtorch_cuda.so"), "{error}");
    }

    #[test]
    fn auto_takes_the_cpu_when_cuda_cannot_be_loaded() {
        let path = Path::new("/nowhere/libtorch_cuda.so");
        assert_eq!(resolve_device(DeviceChoice::Auto, Some(path)).unwrap(), Device::Cpu);
    }

    #[test]
    fn a_cuda_device_that_is_not_there_is_an_error() {
        let error = resolve_device(DeviceChoice::Cuda(4096), None).unwrap_err();
        assert!(matches!(error, CudaError::NoDevice(_) | CudaError::Index { .. }), "{error}");
    }
}
