//! Reads the objects and the metadata out of one SQLite file, with limits, and without leaving
//! anything behind.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use crate::attribute::{Attribute, Class, EMPTY};
use crate::error::NssError;

/// The longest value that is read. Certificates are the longest; 64 kB is a very long one.
const LONGEST_VALUE: i32 = 1024 * 1024;
/// All values of a file together.
const LARGEST_TOTAL: usize = 32 * 1024 * 1024;
/// The virtual machine's instructions for one file, in thousands: thousands of objects need fewer,
/// and a schema made to keep a reader busy for ever is stopped.
const MOST_KILO_STEPS: u32 = 100_000;
/// How long a writer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where SQLite's header says whether a write-ahead log is needed for reading.
const READ_VERSION: usize = 19;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A table of objects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Table {
    /// In `cert9.db`.
    Public,
    /// In `key4.db`.
    Private,
}

/// An object's number and those of its attributes that were asked for.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) id: u32,
    attributes: Vec<(Attribute, Vec<u8>)>,
}

impl Object {
    /// An attribute, if the object has it.
    pub(crate) fn get(&self, attribute: Attribute) -> Option<&[u8]> {
        self.attributes
            .iter()
            .find(|(number, _)| *number == attribute)
            .map(|(_, value)| value.as_slice())
    }
}

/// A row of the table `metaData`.
#[derive(Debug)]
pub(crate) struct MetadataRow {
    pub(crate) id: String,
    pub(crate) item1: Vec<u8>,
    pub(crate) item2: Vec<u8>,
}

/// One file, open for reading.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: Connection,
    path: PathBuf,
    allowance: usize,
}

impl Reader {
    /// Opens a file. SQLite's shared lock keeps writers from being seen half-way.
    pub(crate) fn open(path: &Path) -> Result<Reader, NssError> {
        Reader::open_for(path, MOST_KILO_STEPS)
    }

    fn open_for(path: &Path, kilo_steps: u32) -> Result<Reader, NssError> {
        examine(path)?;
        let connection = connect(path, kilo_steps).map_err(|error| translate(path, &error))?;
        Ok(Reader {
            connection,
            path: path.into(),
            allowance: LARGEST_TOTAL,
        })
    }

    /// All objects of a class, each with the attributes named, in any order: SQLite would sort many
    /// of them in temporary files.
    pub(crate) fn objects(
        &mut self,
        table: Table,
        class: Class,
        attributes: &[Attribute],
    ) -> Result<Vec<Object>, NssError> {
        let table = match table {
            Table::Public => "nssPublic",
            Table::Private => "nssPrivate",
        };
        self.expect_table(table)?;
        let columns: String = attributes
            .iter()
            .map(|attribute| format!(", {}", attribute.column()))
            .collect();
        let query = format!("SELECT id{columns} FROM {table} WHERE a0 = ?1");
        self.rows(&query, [class.0.to_be_bytes()], |row| {
            let values = attributes.iter().enumerate().filter_map(|(index, number)| {
                let value = blob(row, index + 1).transpose()?;
                Some(value.map(|value| (*number, value)))
            });
            Ok(Object {
                id: row.get(0)?,
                attributes: values.collect::<rusqlite::Result<_>>()?,
            })
        })
    }

    /// The whole table `metaData`.
    pub(crate) fn metadata(&mut self) -> Result<Vec<MetadataRow>, NssError> {
        self.expect_table("metaData")?;
        self.rows("SELECT id, item1, item2 FROM metaData", [], |row| {
            Ok(MetadataRow {
                id: row.get(0)?,
                item1: blob(row, 1)?.unwrap_or_default(),
                item2: blob(row, 2)?.unwrap_or_default(),
            })
        })
    }

    /// Turns views away: they could be endless, or fill temporary files.
    fn expect_table(&mut self, name: &str) -> Result<(), NssError> {
        let query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        if self.rows(query, [name], |_| Ok(()))?.is_empty() {
            return Err(corrupt(&self.path, format!("it has no table {name}")));
        }
        Ok(())
    }

    fn rows<T>(
        &mut self,
        query: &str,
        parameters: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, NssError> {
        let failed = |error| translate(&self.path, &error);
        let mut statement = self.connection.prepare(query).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement.query(parameters).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            self.allowance = self
                .allowance
                .checked_sub(size_of_row(row, columns).map_err(failed)?)
                .ok_or_else(|| corrupt(&self.path, "it holds too much"))?;
            found.push(read(row).map_err(failed)?);
        }
        Ok(found)
    }
}

/// What a row costs in memory: its values, and as much again as an empty one costs.
fn size_of_row(row: &Row<'_>, columns: usize) -> rusqlite::Result<usize> {
    let mut size = 64 * columns;
    for column in 0..columns {
        if let ValueRef::Blob(bytes) | ValueRef::Text(bytes) = row.get_ref(column)? {
            size += bytes.len();
        }
    }
    Ok(size)
}

fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Vec<u8>>> {
    let value: Option<Vec<u8>> = row.get(column)?;
    Ok(value.filter(|value| *value != EMPTY))
}

fn connect(path: &Path, kilo_steps: u32) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    let mut left = kilo_steps;
    let stop = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    connection.progress_handler(1000, Some(stop))?;
    Ok(connection)
}

/// Finds out what SQLite would not tell, or tell too late: why a file cannot be read, and whether
/// reading would create files.
fn examine(path: &Path) -> Result<(), NssError> {
    let unreadable = |source| NssError::Unreadable {
        path: path.into(),
        source,
    };
    // A FIFO would make the open below wait for ever.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(corrupt(path, "it is no file"));
    }
    let mut header = Vec::with_capacity(100);
    File::open(path)
        .and_then(|file| file.take(100).read_to_end(&mut header))
        .map_err(unreadable)?;
    if !header.starts_with(MAGIC) {
        return Err(corrupt(path, "it is no SQLite database"));
    }
    match header.get(READ_VERSION) {
        Some(2) => Err(NssError::WriteAheadLog { path: path.into() }),
        _ => Ok(()),
    }
}

fn corrupt(path: &Path, reason: impl Into<String>) -> NssError {
    NssError::Corrupt {
        path: path.into(),
        reason: reason.into(),
    }
}

fn translate(path: &Path, error: &rusqlite::Error) -> NssError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => NssError::Busy { path },
        // A journal is waiting to be played back, and we do not write.
        Some(ErrorCode::ReadOnly) => NssError::HalfWritten {
            folder: path.parent().unwrap_or(Path::new("")).into(),
            path,
        },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure) => {
            NssError::Unreadable {
                path,
                source: io::Error::other(error.to_string()),
            }
        }
        Some(ErrorCode::OperationInterrupted) => corrupt(&path, "it takes too long to read"),
        _ => corrupt(&path, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with so many certificates of so many bytes.
    fn file_of(rows: u32, value: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let connection = Connection::open(file.path()).unwrap();
        connection
            .execute_batch("BEGIN; CREATE TABLE nssPublic (id, a0, a3, a11)")
            .unwrap();
        for id in 0..rows {
            let class = Class::CERTIFICATE.0.to_be_bytes();
            let insert = "INSERT INTO nssPublic VALUES (?1, ?2, ?3, zeroblob(?4))";
            connection
                .execute(insert, (id, class, EMPTY, value))
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        file
    }

    fn read(file: &Path, kilo_steps: u32) -> Result<Vec<Object>, NssError> {
        let attributes = [Attribute::LABEL, Attribute::VALUE];
        Reader::open_for(file, kilo_steps)?.objects(Table::Public, Class::CERTIFICATE, &attributes)
    }

    #[test]
    fn the_mark_of_an_empty_value_is_no_value() {
        let file = file_of(1, 3);
        let objects = read(file.path(), 1000).unwrap();
        assert_eq!(objects.len(), 1);
        assert_eq!(objects[0].get(Attribute::LABEL), None);
        assert_eq!(objects[0].get(Attribute::VALUE), Some([0; 3].as_slice()));
    }

    #[test]
    fn a_file_that_takes_too_long_is_given_up() {
        let file = file_of(500, 1);
        assert_eq!(read(file.path(), 1000).unwrap().len(), 500);
        let error = read(file.path(), 1).unwrap_err().to_string();
        assert!(error.ends_with("it takes too long to read"), "{error}");
    }

    #[test]
    fn a_value_too_long_for_a_certificate_is_not_read() {
        let error = read(file_of(1, 2 * 1024 * 1024).path(), 1000).unwrap_err();
        assert!(error.to_string().contains("too big"), "{error}");
    }

    #[test]
    fn a_file_that_would_fill_the_memory_is_given_up() {
        let error = read(file_of(40, 900 * 1024).path(), 1000).unwrap_err();
        assert!(error.to_string().ends_with("it holds too much"), "{error}");
    }
}
