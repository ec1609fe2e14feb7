//! Files that somebody else wrote: read whole, up to a limit, and as JSON that says each thing once. And files that are
//! written: as a whole or not at all.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::exit::{Exit, Failure};

/// Reads a file of at most so many bytes.
///
/// What is no regular file is refused: a device has no end, and to open a pipe waits for somebody who writes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let opened = fs::metadata(path).and_then(|found| match found.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is no regular file")),
    });
    let file = opened.map_err(|error| unread(&path.display(), &error))?;
    // A file may grow while it is read.
    read_from(file, &path.display(), limit)
}

/// Reads a file of UTF-8, or with `-` all that comes on stdin, of at most so many bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, Failure> {
    match path.as_os_str() == "-" {
        true => utf8(read_from(io::stdin().lock(), &"stdin", limit)?, &"stdin"),
        false => utf8(read(path, limit)?, &path.display()),
    }
}

pub(crate) fn utf8(bytes: Vec<u8>, name: &dyn fmt::Display) -> Result<String, Failure> {
    let text = String::from_utf8(bytes);
    text.map_err(|_| Failure::new(Exit::Input, format!("{name} is no UTF-8")))
}

fn read_from(from: impl Read, name: &dyn fmt::Display, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| unread(name, &error))?;
    if bytes.len() as u64 > limit {
        let message = format!("{name} has over {limit} bytes");
        return Err(Failure::new(Exit::Input, message));
    }
    Ok(bytes)
}

fn unread(name: &dyn fmt::Display, error: &io::Error) -> Failure {
    Failure::new(Exit::Io, format!("cannot read {name}: {error}"))
}

/// Writes a file as a whole, or leaves what stood there: it is written beside, and takes the name once the disk has it.
///
/// A new file is readable by its owner only; one that is replaced hands on its permissions, unless they forbid to write it,
/// and a link to it stays one. What is no regular file, such as a pipe or a terminal, is written to as it is.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => write_through(path, bytes),
        Ok(found) if found.permissions().readonly() => {
            Err(io::Error::other("it is protected from writing"))
        }
        Ok(found) => fs::canonicalize(path)
            .and_then(|path| write_beside(&path, bytes, Some(found.permissions()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_beside(path, bytes, None),
        Err(error) => Err(error),
    };
    written.map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Io, message)
    })
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(bytes)
}

fn write_beside(path: &Path, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    let mut beside = tempfile::Builder::new()
        .prefix(".driftless-")
        .tempfile_in(directory)?;
    beside.write_all(bytes)?;
    if let Some(permissions) = permissions {
        beside.as_file().set_permissions(permissions)?;
    }
    beside.as_file().sync_all()?;
    beside.persist(path)?;
    // Elsewhere a directory cannot be opened.
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// JSON in which no object has two members of one name.
///
/// Of two members serde_json takes the last one, so that the first would be lost without a word.
#[derive(Debug)]
pub(crate) struct Unambiguous(pub(crate) Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number);
        Ok(number
            .ok_or_else(|| E::custom("a number is too large"))?
            .into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unambiguous(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("there are two members {name:?}")));
            }
            let Unambiguous(value) = members.next_value()?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [directory.path(), &pipe, Path::new("/dev/zero")] {
            let failure = read(path, 10).unwrap_err();
            assert_eq!(failure.exit, Exit::Io);
            assert!(failure.error.to_string().ends_with("it is no regular file"));
        }
        std::fs::write(directory.path().join("file"), [7; 11]).unwrap();
        let failure = read(&directory.path().join("file"), 10).unwrap_err();
        assert_eq!(failure.exit, Exit::Input);
    }

    #[cfg(unix)]
    #[test]
    fn file_is_replaced_as_a_whole_or_stays() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        replace(&file, b"first").unwrap();
        assert_eq!(
            (fs::read(&file).unwrap(), mode()),
            (b"first".to_vec(), 0o600)
        );

        let set = |mode| fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        set(0o640);
        symlink(&file, &link).unwrap();
        let before = fs::metadata(&file).unwrap().ino();
        replace(&link, b"second").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            (fs::read(&file).unwrap(), mode()),
            (b"second".to_vec(), 0o640)
        );
        assert_ne!(
            fs::metadata(&file).unwrap().ino(),
            before,
            "the old file is whole until the new one is"
        );

        set(0o440);
        assert_eq!(replace(&file, b"third").unwrap_err().exit, Exit::Io);
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        let nowhere = directory.path().join("no/file");
        assert_eq!(replace(&nowhere, b"").unwrap_err().exit, Exit::Io);
    }

    #[test]
    fn json_is_what_serde_json_reads_unless_a_name_stands_twice() {
        let json = r#"{"a":[null,true,-1,18446744073709551615,1.5,"\u00e4"],"b":{"a":{}}}"#;
        let Unambiguous(value) = serde_json::from_str(json).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(json).unwrap());
        for json in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let error = serde_json::from_str::<Unambiguous>(json).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(r#"there are two members "a""#)
            );
        }
        let deep = "[".repeat(100_000);
        assert!(serde_json::from_str::<Unambiguous>(&deep).is_err());
    }
}
