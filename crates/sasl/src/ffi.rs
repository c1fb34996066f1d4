//! libsasl2 as C sees it, and the least that makes it safe. All `unsafe` is here.

mod mutex;
mod raw;

use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::ptr::{NonNull, null, null_mut};

use zeroize::Zeroizing;

use crate::error::SaslError;
use crate::log;
use mutex::{mutex_free, mutex_lock, mutex_new, mutex_unlock};
use raw::{
    AUTH_EXTERNAL, CALLBACKS, CONTINUE, Conn, FAIL, Functions, MAXOUTBUF, NO_ANONYMOUS,
    NO_PLAINTEXT, OK, PATH_TYPE_CONFIG, SEC_PROPS, SSF, SSF_EXTERNAL, SUCCESS_DATA,
    SecurityProperties, USERNAME,
};

/// The file that the dynamic linker looks for: that of ABI version 2.
const LIBRARY: &str = "libsasl2.so.2";

/// The library, initialised as a server. It is never unloaded: its mechanisms may have started
/// threads or left destructors behind.
#[derive(Clone, Copy)]
pub(crate) struct Library(Functions);

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIBRARY)
    }
}

impl Library {
    /// Loads the library and initialises it. Only one call at a time, and only one that succeeds.
    pub(crate) fn load(app_name: &CStr, folder: Option<&CStr>) -> Result<Library, SaslError> {
        let functions = open(LIBRARY)?;
        let library = Library(functions);
        // SAFETY: the functions are what the library wants and live as long as the program. It uses
        // them only after this.
        unsafe { (functions.sasl_set_mutex)(mutex_new, mutex_lock, mutex_unlock, mutex_free) };
        if let Some(folder) = folder {
            // SAFETY: the library copies the text, and does not write to it.
            let code =
                unsafe { (functions.sasl_set_path)(PATH_TYPE_CONFIG, folder.as_ptr().cast_mut()) };
            library.check(code, "set the folder of SASL's configuration")?;
        }
        // SAFETY: the callbacks live as long as the program; the name is copied.
        let code = unsafe { (functions.sasl_server_init)(CALLBACKS.0.as_ptr(), app_name.as_ptr()) };
        library.check(code, "initialise libsasl2")?;
        Ok(library)
    }

    fn check(&self, code: c_int, doing: &'static str) -> Result<(), SaslError> {
        if code == OK {
            return Ok(());
        }
        // SAFETY: the other two arguments may be null; the result is null or a text that is always
        // there.
        let detail = unsafe {
            let text = (self.0.sasl_errstring)(code, null(), null_mut());
            bytes(text)
        };
        Err(SaslError::Refused {
            doing,
            code,
            detail: log::printable(detail),
        })
    }
}

/// The functions of libsasl2 in `file`, which stays loaded.
fn open(file: &'static str) -> Result<Functions, SaslError> {
    let missing = |error: libloading::Error| SaslError::Missing {
        library: file,
        // The dynamic linker's own words are the error's source.
        reason: error.source().unwrap_or(&error).to_string(),
    };
    // SAFETY: libsasl2 does nothing when it is loaded, and is not unloaded once it is used.
    unsafe {
        let library = libloading::Library::new(file).map_err(missing)?;
        let functions = Functions::find(&library).map_err(missing)?;
        std::mem::forget(library);
        Ok(functions)
    }
}

/// What a session asks for (`sasl_security_properties_t`).
pub(crate) struct Security {
    pub(crate) min_ssf: u32,
    pub(crate) max_ssf: u32,
    pub(crate) max_packet: u32,
    pub(crate) weak_mechanisms: bool,
}

/// What came of the client's words.
pub(crate) struct Progress {
    pub(crate) complete: bool,
    pub(crate) data: Option<Vec<u8>>,
}

/// A `sasl_conn_t`.
pub(crate) struct Connection {
    /// From `sasl_server_new`, until it is given to `sasl_dispose` on drop.
    conn: NonNull<Conn>,
    /// Whether a mechanism was started: the library does not look before it calls it.
    started: bool,
    library: Library,
}

// SAFETY: a connection does not depend on the thread, and what connections share is guarded by the
// mutexes that the library was given.
unsafe impl Send for Connection {}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut conn = self.conn.as_ptr();
        // SAFETY: it is ours, and not used after this.
        unsafe { (self.library.0.sasl_dispose)(&raw mut conn) };
    }
}

impl Connection {
    pub(crate) fn new(
        library: &Library,
        service: &CStr,
        local_address: Option<&CStr>,
        remote_address: Option<&CStr>,
    ) -> Result<Connection, SaslError> {
        let mut conn = null_mut();
        let or_null = |text: Option<&CStr>| text.map_or(null(), CStr::as_ptr);
        // SAFETY: the texts are copied. The host's name and the realm may be null, and so may the
        // addresses and the callbacks.
        let code = unsafe {
            (library.0.sasl_server_new)(
                service.as_ptr(),
                null(),
                null(),
                or_null(local_address),
                or_null(remote_address),
                null(),
                SUCCESS_DATA,
                &raw mut conn,
            )
        };
        library.check(code, "make a SASL session")?;
        let conn = NonNull::new(conn).ok_or_else(|| SaslError::Refused {
            doing: "make a SASL session",
            code: FAIL,
            detail: "there is none".to_owned(),
        })?;
        Ok(Connection {
            conn,
            started: false,
            library: *library,
        })
    }

    pub(crate) fn set_external_ssf(&mut self, ssf: u32) -> Result<(), SaslError> {
        let ssf: c_uint = ssf;
        // SAFETY: this property is a `sasl_ssf_t`.
        unsafe { self.set(SSF_EXTERNAL, (&raw const ssf).cast()) }
    }

    pub(crate) fn set_external_name(&mut self, name: &CStr) -> Result<(), SaslError> {
        // SAFETY: this property is a text.
        unsafe { self.set(AUTH_EXTERNAL, name.as_ptr().cast()) }
    }

    pub(crate) fn set_security(&mut self, security: &Security) -> Result<(), SaslError> {
        let properties = SecurityProperties {
            min_ssf: security.min_ssf,
            max_ssf: security.max_ssf,
            maxbufsize: security.max_packet,
            security_flags: match security.weak_mechanisms {
                true => 0,
                false => NO_PLAINTEXT | NO_ANONYMOUS,
            },
            property_names: null(),
            property_values: null(),
        };
        // SAFETY: this property is such a struct.
        unsafe { self.set(SEC_PROPS, (&raw const properties).cast()) }
    }

    /// # Safety
    /// `value` must point to what the property is; the library copies it.
    unsafe fn set(&mut self, property: c_int, value: *const c_void) -> Result<(), SaslError> {
        // SAFETY: as the caller promised.
        let code = unsafe { (self.library.0.sasl_setprop)(self.conn.as_ptr(), property, value) };
        self.check(code, "set a property of a SASL session")
    }

    pub(crate) fn mechanisms(&mut self, separator: &CStr) -> Result<Vec<u8>, SaslError> {
        let mut names = null();
        // SAFETY: no user means all users; the count of names and their length may be null.
        let code = unsafe {
            (self.library.0.sasl_listmech)(
                self.conn.as_ptr(),
                null(),
                c"".as_ptr(),
                separator.as_ptr(),
                c"".as_ptr(),
                &raw mut names,
                null_mut(),
                null_mut(),
            )
        };
        self.check(code, "list the SASL mechanisms")?;
        // SAFETY: a text that stays until the next call.
        Ok(unsafe { bytes(names) }.to_vec())
    }

    pub(crate) fn start(
        &mut self,
        mechanism: &CStr,
        data: Option<&[u8]>,
    ) -> Result<Progress, SaslError> {
        let words = Words::new(data)?;
        let (mut out, mut out_len) = (null(), 0);
        // SAFETY: the words are so many bytes or null; the library does not keep them.
        let code = unsafe {
            (self.library.0.sasl_server_start)(
                self.conn.as_ptr(),
                mechanism.as_ptr(),
                words.as_ptr(),
                words.len,
                &raw mut out,
                &raw mut out_len,
            )
        };
        self.started = code == CONTINUE;
        // SAFETY: what `sasl_server_start` gave.
        unsafe { self.progress(code, "start SASL", out, out_len) }
    }

    pub(crate) fn step(&mut self, data: Option<&[u8]>) -> Result<Progress, SaslError> {
        if !self.started {
            return Err(SaslError::OutOfTurn {
                doing: "step",
                state: "has no mechanism",
            });
        }
        let words = Words::new(data)?;
        let (mut out, mut out_len) = (null(), 0);
        // SAFETY: there is a mechanism. The words are so many bytes or null; the library does not
        // keep them.
        let code = unsafe {
            (self.library.0.sasl_server_step)(
                self.conn.as_ptr(),
                words.as_ptr(),
                words.len,
                &raw mut out,
                &raw mut out_len,
            )
        };
        self.started = code == CONTINUE;
        // SAFETY: what `sasl_server_step` gave.
        unsafe { self.progress(code, "go on with SASL", out, out_len) }
    }

    /// # Safety
    /// `out` must be null or point to `len` bytes if `code` is one of the good ones.
    unsafe fn progress(
        &mut self,
        code: c_int,
        doing: &'static str,
        out: *const c_char,
        len: c_uint,
    ) -> Result<Progress, SaslError> {
        if code != CONTINUE {
            self.check(code, doing)?;
        }
        Ok(Progress {
            complete: code == OK,
            // SAFETY: as the caller promised.
            data: (!out.is_null()).then(|| unsafe { slice(out, len) }.to_vec()),
        })
    }

    pub(crate) fn username(&mut self) -> Result<Vec<u8>, SaslError> {
        let value = self.get(USERNAME)?;
        // SAFETY: this property is a text, which stays until the connection is changed.
        Ok(unsafe { bytes(value.cast()) }.to_vec())
    }

    pub(crate) fn ssf(&mut self) -> Result<u32, SaslError> {
        let value = self.get(SSF)?;
        // SAFETY: this property is a `sasl_ssf_t`.
        Ok(unsafe { value.cast::<c_uint>().as_ref() }
            .copied()
            .unwrap_or(0))
    }

    /// The most bytes that the client takes in one piece.
    pub(crate) fn max_piece(&mut self) -> Result<u32, SaslError> {
        let value = self.get(MAXOUTBUF)?;
        // SAFETY: this property is an unsigned number.
        Ok(unsafe { value.cast::<c_uint>().as_ref() }
            .copied()
            .unwrap_or(0))
    }

    fn get(&mut self, property: c_int) -> Result<*const c_void, SaslError> {
        let mut value = null();
        // SAFETY: only a pointer is written.
        let code =
            unsafe { (self.library.0.sasl_getprop)(self.conn.as_ptr(), property, &raw mut value) };
        self.check(code, "ask for a property of a SASL session")?;
        Ok(value)
    }

    pub(crate) fn encode(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), SaslError> {
        let len = length(plain)?;
        let (mut out, mut out_len) = (null(), 0);
        // SAFETY: so many bytes are there; the library does not keep them.
        let code = unsafe {
            (self.library.0.sasl_encode)(
                self.conn.as_ptr(),
                plain.as_ptr().cast(),
                len,
                &raw mut out,
                &raw mut out_len,
            )
        };
        self.check(code, "seal with SASL")?;
        // SAFETY: the library has so many bytes there until its next call.
        sealed.extend_from_slice(unsafe { slice(out, out_len) });
        Ok(())
    }

    pub(crate) fn decode(&mut self, sealed: &[u8], plain: &mut Vec<u8>) -> Result<(), SaslError> {
        let len = length(sealed)?;
        let (mut out, mut out_len) = (null(), 0);
        // SAFETY: so many bytes are there; the library does not keep them.
        let code = unsafe {
            (self.library.0.sasl_decode)(
                self.conn.as_ptr(),
                sealed.as_ptr().cast(),
                len,
                &raw mut out,
                &raw mut out_len,
            )
        };
        self.check(code, "open what SASL sealed")?;
        // SAFETY: the library has so many bytes there until its next call.
        plain.extend_from_slice(unsafe { slice(out, out_len) });
        Ok(())
    }

    fn check(&mut self, code: c_int, doing: &'static str) -> Result<(), SaslError> {
        if code == OK {
            return Ok(());
        }
        // SAFETY: the result is a text that stays until the next call.
        let detail = unsafe { bytes((self.library.0.sasl_errdetail)(self.conn.as_ptr())) };
        Err(SaslError::Refused {
            doing,
            code,
            detail: log::printable(detail),
        })
    }
}

/// A client's words with a zero behind them, which some mechanisms might read. They may be a
/// password.
struct Words {
    bytes: Option<Zeroizing<Vec<u8>>>,
    len: c_uint,
}

impl Words {
    fn new(data: Option<&[u8]>) -> Result<Words, SaslError> {
        let bytes = data.map(|data| {
            let mut bytes = Zeroizing::new(Vec::with_capacity(data.len().saturating_add(1)));
            bytes.extend_from_slice(data);
            bytes.push(0);
            bytes
        });
        let len = length(data.unwrap_or_default())?;
        Ok(Words { bytes, len })
    }

    fn as_ptr(&self) -> *const c_char {
        let bytes = self.bytes.as_ref();
        bytes.map_or(null(), |bytes| bytes.as_ptr().cast())
    }
}

fn length(data: &[u8]) -> Result<c_uint, SaslError> {
    c_uint::try_from(data.len()).map_err(|_| SaslError::TooLong {
        len: data.len(),
        limit: crate::MAX_DATA,
    })
}

/// The bytes of a text without its end, none if there is no text.
///
/// # Safety
/// `text` must be null or a text that stays for `'a`.
unsafe fn bytes<'a>(text: *const c_char) -> &'a [u8] {
    if text.is_null() {
        return &[];
    }
    // SAFETY: as the caller promised.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// # Safety
/// `data` must be `len` bytes that stay for `'a`; if `len` is 0 it may be anything.
unsafe fn slice<'a>(data: *const c_char, len: c_uint) -> &'a [u8] {
    match usize::try_from(len) {
        Ok(len @ 1..) if !data.is_null() => {
            // SAFETY: as the caller promised.
            unsafe { std::slice::from_raw_parts(data.cast(), len) }
        }
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_that_names_the_package() {
        let Err(error) = open("libnosuchsasl.so.2") else {
            panic!("there is such a library");
        };
        let text = error.to_string();
        assert!(
            text.starts_with("cannot load libnosuchsasl.so.2: "),
            "{text}"
        );
        assert!(text.contains("install the package libsasl2-2"), "{text}");
    }

    #[test]
    fn a_library_that_is_something_else_is_refused() {
        let Err(error) = open("libc.so.6") else {
            panic!("it has SASL");
        };
        assert!(error.to_string().contains("sasl_"), "{error}");
    }
}
