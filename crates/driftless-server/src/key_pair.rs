//! The key pair that the operator signs with, and the files it is kept in.
//!
//! `credentials` has the form of an AWS shared credentials file, so that boto3 and the AWS
//! command line can be pointed at it as it is. Both files are written whole under another name
//! with mode 0600 and then linked to theirs, so that nobody ever sees half of one, and of two
//! processes that start at once the second takes what the first made. Their contents are never
//! printed.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use tempfile::NamedTempFile;

/// An access key id and its secret. Who has it may read and write every dataset.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    access_key_id: String,
    secret_access_key: String,
}

impl KeyPair {
    /// Returns a key pair of these texts.
    #[must_use]
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
        }
    }

    /// Reads a key pair from an AWS shared credentials file that holds just one, of the default
    /// profile.
    ///
    /// # Errors
    ///
    /// What the system says, or [`io::ErrorKind::InvalidData`] if it is not such a file.
    pub fn read(path: &Path) -> io::Result<Self> {
        parse(&fs::read_to_string(path)?)
    }

    /// Returns the access key id, which is no secret.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Returns the secret.
    #[must_use]
    pub fn secret_access_key(&self) -> &str {
        &self.secret_access_key
    }

    fn random() -> io::Result<Self> {
        // As long as those of AWS: 20 and 40 characters.
        let access_key_id = format!("AKID{}", BASE32_NOPAD.encode(&random::<10>()?));
        Ok(Self::new(
            access_key_id,
            BASE64URL_NOPAD.encode(&random::<30>()?),
        ))
    }

    fn to_text(&self) -> String {
        let Self {
            access_key_id,
            secret_access_key,
        } = self;
        format!(
            "[default]\naws_access_key_id = {access_key_id}\n\
             aws_secret_access_key = {secret_access_key}\n"
        )
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        (lines.next()? == "[default]").then_some(())?;
        let mut value_of = |name| {
            let (found, value) = lines.next()?.split_once('=')?;
            (found.trim() == name && !value.trim().is_empty()).then(|| value.trim().to_owned())
        };
        let pair = Self {
            access_key_id: value_of("aws_access_key_id")?,
            secret_access_key: value_of("aws_secret_access_key")?,
        };
        lines.next().is_none().then_some(pair)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Returns the key pair in a file, which is made with a random one if it is not there.
pub(crate) fn load_or_create_key_pair(path: &Path) -> io::Result<KeyPair> {
    let text = load_or_create(path, || Ok(KeyPair::random()?.to_text()))?;
    parse(&text)
}

fn parse(text: &str) -> io::Result<KeyPair> {
    KeyPair::from_text(text).ok_or_else(|| malformed("not a key pair of one default profile"))
}

/// Returns the key of tokens in a file, which is made with a random one if it is not there.
pub(crate) fn load_or_create_token_key(path: &Path) -> io::Result<[u8; 32]> {
    let text = load_or_create(path, || Ok(HEXLOWER.encode(&random::<32>()?) + "\n"))?;
    let key = HEXLOWER.decode(text.trim_end().as_bytes()).ok();
    key.and_then(|key| key.try_into().ok())
        .ok_or_else(|| malformed("not 64 hexadecimal digits"))
}

fn load_or_create(path: &Path, make: impl FnOnce() -> io::Result<String>) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, &make()?)?,
        other => return other,
    }
    fs::read_to_string(path)
}

/// Writes a file whole and durably, unless there is one by now.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    // A temporary file has mode 0600.
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
        _ => fs::File::open(directory)?.sync_all(),
    }
}

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_call_reads_what_the_first_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        let made = load_or_create_key_pair(&path).unwrap();
        assert_eq!(load_or_create_key_pair(&path).unwrap(), made);
        assert_eq!(
            (made.access_key_id().len(), made.secret_access_key().len()),
            (20, 40)
        );
        let key = directory.path().join("token-key");
        let made = load_or_create_token_key(&key).unwrap();
        assert_eq!(load_or_create_token_key(&key).unwrap(), made);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            2,
            "nothing else is left"
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        load_or_create_key_pair(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn file_that_is_there_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        fs::write(&path, "half").unwrap();
        create(&path, "whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "half");
        let error = load_or_create_key_pair(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn written_text_is_read_and_everything_else_refused() {
        let pair = KeyPair::new("AKID", "s3cret=");
        assert_eq!(KeyPair::from_text(&pair.to_text()), Some(pair.clone()));
        for text in [
            "",
            "[default]",
            "[other]\naws_access_key_id = A\naws_secret_access_key = B",
        ] {
            assert_eq!(KeyPair::from_text(text), None, "{text}");
        }
        assert_eq!(KeyPair::from_text(&(pair.to_text() + "region = x\n")), None);
    }

    #[test]
    fn debug_hides_the_secret() {
        let shown = format!("{:?}", KeyPair::new("AKID", "s3cret"));
        assert!(
            shown.contains("AKID") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
}
