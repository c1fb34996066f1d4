//! Reading state files that others have written: never a file that could block, never more than a
//! limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};

/// The longest file that is read, in bytes. A Podman with thousands of containers has 2 MB.
const LIMIT: u64 = 16 << 20;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read it: {0}")]
    System(#[from] io::Error),
    #[error("it is no regular file")]
    NotRegular,
    #[error("it is larger than {} MiB", LIMIT >> 20)]
    TooLarge,
}

impl FileError {
    /// Whether there is just no file.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, FileError::System(error) if matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ))
    }
}

/// All of a regular file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    // A FIFO opens at once this way, and a terminal does not become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(FileError::NotRegular);
    }
    if found.len() > LIMIT {
        return Err(FileError::TooLarge);
    }
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

/// All of a regular file as a text; bytes that are no UTF-8 are replaced.
pub(crate) fn read_text(path: &Path) -> Result<String, FileError> {
    let bytes = read(path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, mknodat};

    #[test]
    fn neither_a_fifo_nor_a_folder_nor_an_endless_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&fifo), Err(FileError::NotRegular)));
        assert!(matches!(read(folder.path()), Err(FileError::NotRegular)));
        assert!(matches!(
            read(Path::new("/dev/zero")),
            Err(FileError::NotRegular)
        ));
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(LIMIT + 1).unwrap();
        assert!(matches!(read(&huge), Err(FileError::TooLarge)));
        let missing = read(&folder.path().join("missing")).unwrap_err();
        assert!(missing.is_absence());
    }

    #[test]
    fn files_of_proc_are_read_though_they_claim_to_be_empty() {
        let text = read_text(Path::new("/proc/self/stat")).unwrap();
        assert!(text.starts_with(&std::process::id().to_string()));
    }
}
