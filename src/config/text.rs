//! Reads a text file of a sane size.

use super::Reading;
use super::diagnostic::{Diagnostic, Position};
use crate::os::regular_file;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A thousand programs fit several times; /dev/zero does not.
const LARGEST: usize = 4 << 20;

/// Why a text file could not be read.
pub(super) struct Unreadable {
    at: Option<Position>,
    pub(super) message: String,
}

impl Unreadable {
    /// True if it is known where in the file.
    pub(super) fn is_in_it(&self) -> bool {
        self.at.is_some()
    }

    pub(super) fn diagnostic(self, file: &Path) -> Diagnostic {
        Diagnostic { file: file.to_owned(), at: self.at, message: self.message }
    }
}

pub(super) fn read(path: &Path, reading: Reading) -> Result<String, Unreadable> {
    let refused = |at, message| Unreadable { at, message };
    let mut bytes = Vec::new();
    let opened = match reading {
        Reading::AtStart => File::open(path),
        Reading::Running => regular_file::open(path),
    };
    opened
        .and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|e| refused(None, format!("{e}; name a file that runinit can read")))?;
    if bytes.len() > LARGEST {
        return Err(refused(None, format!("this is larger than {} MiB", LARGEST >> 20)));
    }
    String::from_utf8(bytes).map_err(|e| {
        let good = e.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&e.as_bytes()[..good]);
        refused(Some(Position::of(&before, good)), "this is not UTF-8; save the file as UTF-8".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let diagnostic = read(file.path(), Reading::AtStart).err().unwrap().diagnostic(Path::new("f"));
        diagnostic.to_string()
    }

    #[test]
    fn what_is_no_text_is_refused_where_it_stops_to_be_one() {
        assert_eq!(refusal(b"a\nb\xff"), "f:2:2: this is not UTF-8; save the file as UTF-8");
    }

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let endless = read(Path::new("/dev/zero"), Reading::AtStart).err().unwrap();
        assert_eq!(endless.message, "this is larger than 4 MiB");
        assert!(read(Path::new("/"), Reading::AtStart).is_err());
    }
}
