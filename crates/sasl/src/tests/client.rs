//! The client's side of libsasl2, for tests: what a real client like virsh does with it.

use std::ffi::{CString, c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::{null, null_mut};
use std::sync::Once;

type Start = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    *mut *mut c_void,
    *mut *const c_char,
    *mut c_uint,
    *mut *const c_char,
) -> c_int;
type Go = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    c_uint,
    *mut *mut c_void,
    *mut *const c_char,
    *mut c_uint,
) -> c_int;
type Transform = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    c_uint,
    *mut *const c_char,
    *mut c_uint,
) -> c_int;
type New = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    *const Callback,
    c_uint,
    *mut *mut c_void,
) -> c_int;

#[repr(C)]
struct Callback {
    id: c_ulong,
    function: *const c_void,
    context: *mut c_void,
}

// `sasl_secret_t`, for passwords of up to 63 bytes.
#[repr(C)]
struct Secret {
    len: c_ulong,
    data: [u8; 64],
}

#[repr(C)]
struct Properties {
    min_ssf: c_uint,
    max_ssf: c_uint,
    maxbufsize: c_uint,
    security_flags: c_uint,
    names: *const c_void,
    values: *const c_void,
}

struct Context {
    user: CString,
    secret: Secret,
}

/// What a client wants.
pub(super) struct Wanted {
    pub(super) user: &'static str,
    pub(super) password: &'static str,
    pub(super) max_ssf: u32,
    pub(super) max_packet: u32,
}

/// A client; one at a time in a thread.
pub(super) struct Client {
    conn: *mut c_void,
    library: libloading::Library,
    // The library has pointers into them.
    _context: Box<Context>,
    _callbacks: Box<[Callback; 5]>,
}

unsafe extern "C" fn user(
    context: *mut c_void,
    _: c_int,
    result: *mut *const c_char,
    len: *mut c_uint,
) -> c_int {
    // SAFETY: the context of the callbacks.
    unsafe {
        let context = &*context.cast::<Context>();
        *result = context.user.as_ptr();
        if !len.is_null() {
            *len = u32::try_from(context.user.as_bytes().len()).unwrap();
        }
    }
    0
}

unsafe extern "C" fn secret(
    _: *mut c_void,
    context: *mut c_void,
    _: c_int,
    result: *mut *mut Secret,
) -> c_int {
    // SAFETY: the context of the callbacks.
    unsafe { *result = &raw mut (*context.cast::<Context>()).secret };
    0
}

unsafe extern "C" fn realm(
    _: *mut c_void,
    _: c_int,
    available: *const *const c_char,
    result: *mut *const c_char,
) -> c_int {
    // SAFETY: a list with at least its end.
    unsafe { *result = *available };
    0
}

impl Client {
    pub(super) fn new(wanted: &Wanted) -> Client {
        let mut data = [0; 64];
        data[..wanted.password.len()].copy_from_slice(wanted.password.as_bytes());
        let mut context = Box::new(Context {
            user: CString::new(wanted.user).unwrap(),
            secret: Secret {
                len: c_ulong::try_from(wanted.password.len()).unwrap(),
                data,
            },
        });
        let pointer = (&raw mut *context).cast();
        let callback = |id, function| Callback {
            id,
            function,
            context: pointer,
        };
        let callbacks = Box::new([
            callback(0x4001, user as *const c_void),
            callback(0x4002, user as *const c_void),
            callback(0x4004, secret as *const c_void),
            callback(0x4008, realm as *const c_void),
            callback(0, null()),
        ]);
        let properties = Properties {
            min_ssf: 0,
            max_ssf: wanted.max_ssf,
            maxbufsize: wanted.max_packet,
            security_flags: 0,
            names: null(),
            values: null(),
        };
        // SAFETY: types and arguments as `sasl.h` has them.
        unsafe {
            let library = libloading::Library::new("libsasl2.so.2").unwrap();
            let init: unsafe extern "C" fn(*const c_void) -> c_int =
                *library.get("sasl_client_init").unwrap();
            // Not to be done by two threads at once.
            static INIT: Once = Once::new();
            INIT.call_once(|| assert_eq!(init(null()), 0));
            let new: New = *library.get("sasl_client_new").unwrap();
            let mut conn = null_mut();
            let code = new(
                c"libvirt".as_ptr(),
                c"localhost".as_ptr(),
                null(),
                null(),
                callbacks.as_ptr(),
                4,
                &raw mut conn,
            );
            assert_eq!(code, 0);
            let set: unsafe extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int =
                *library.get("sasl_setprop").unwrap();
            assert_eq!(set(conn, 101, (&raw const properties).cast()), 0);
            Client {
                conn,
                library,
                _context: context,
                _callbacks: callbacks,
            }
        }
    }

    /// Its first words in a mechanism.
    pub(super) fn start(&mut self, mechanism: &str) -> Option<Vec<u8>> {
        let mechanism = CString::new(mechanism).unwrap();
        let (mut prompts, mut out, mut len, mut chosen) = (null_mut(), null(), 0, null());
        // SAFETY: as in `sasl.h`.
        let code = unsafe {
            let start: Start = *self.library.get("sasl_client_start").unwrap();
            start(
                self.conn,
                mechanism.as_ptr(),
                &raw mut prompts,
                &raw mut out,
                &raw mut len,
                &raw mut chosen,
            )
        };
        assert!(code == 0 || code == 1, "sasl_client_start: {code}");
        copy(out, len)
    }

    /// Its answer, or the code of the library's error. No answer after the server's last words.
    pub(super) fn step(&mut self, words: Option<&[u8]>) -> Result<Option<Vec<u8>>, c_int> {
        let words = words.unwrap_or_default();
        let (mut prompts, mut out, mut len) = (null_mut(), null(), 0);
        // SAFETY: as in `sasl.h`.
        let code = unsafe {
            let step: Go = *self.library.get("sasl_client_step").unwrap();
            step(
                self.conn,
                words.as_ptr().cast(),
                u32::try_from(words.len()).unwrap(),
                &raw mut prompts,
                &raw mut out,
                &raw mut len,
            )
        };
        match code {
            0 | 1 => Ok(copy(out, len)),
            error => Err(error),
        }
    }

    pub(super) fn encode(&mut self, plain: &[u8]) -> Vec<u8> {
        self.transform("sasl_encode", plain).unwrap()
    }

    pub(super) fn decode(&mut self, sealed: &[u8]) -> Result<Vec<u8>, c_int> {
        self.transform("sasl_decode", sealed)
    }

    fn transform(&mut self, function: &str, bytes: &[u8]) -> Result<Vec<u8>, c_int> {
        let mut all = Vec::new();
        for piece in bytes.chunks(60_000) {
            let (mut out, mut len) = (null(), 0);
            // SAFETY: as in `sasl.h`.
            let code = unsafe {
                let transform: Transform = *self.library.get(function).unwrap();
                transform(
                    self.conn,
                    piece.as_ptr().cast(),
                    u32::try_from(piece.len()).unwrap(),
                    &raw mut out,
                    &raw mut len,
                )
            };
            if code != 0 {
                return Err(code);
            }
            if len > 0 {
                all.extend(copy(out, len).unwrap());
            }
        }
        Ok(all)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        unsafe {
            let dispose: unsafe extern "C" fn(*mut *mut c_void) =
                *self.library.get("sasl_dispose").unwrap();
            dispose(&raw mut self.conn);
        }
    }
}

fn copy(out: *const c_char, len: c_uint) -> Option<Vec<u8>> {
    // SAFETY: the library has so many bytes there.
    (!out.is_null()).then(|| unsafe {
        std::slice::from_raw_parts(out.cast(), usize::try_from(len).unwrap()).to_vec()
    })
}
