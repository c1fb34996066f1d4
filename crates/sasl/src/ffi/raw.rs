//! Types, numbers and functions of libsasl2's `sasl.h` (2.1, ABI version 2).

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::ptr::null_mut;

use super::bytes;
use super::mutex::{MutexFree, MutexNew, MutexUse};
use crate::log;

pub(super) const OK: c_int = 0;
pub(super) const CONTINUE: c_int = 1;
pub(super) const FAIL: c_int = -1;

/// `SASL_SUCCESS_DATA`: the protocol can carry the server's last words with the word of success.
pub(super) const SUCCESS_DATA: c_uint = 4;
/// `SASL_PATH_TYPE_CONFIG`.
pub(super) const PATH_TYPE_CONFIG: c_int = 1;
/// `SASL_CB_LOG` and `SASL_CB_LIST_END`.
pub(super) const CB_LOG: c_ulong = 2;
pub(super) const CB_LIST_END: c_ulong = 0;

/// Properties.
pub(super) const USERNAME: c_int = 0;
pub(super) const SSF: c_int = 1;
pub(super) const MAXOUTBUF: c_int = 2;
pub(super) const SSF_EXTERNAL: c_int = 100;
pub(super) const SEC_PROPS: c_int = 101;
pub(super) const AUTH_EXTERNAL: c_int = 102;

/// `SASL_SEC_NOPLAINTEXT` and `SASL_SEC_NOANONYMOUS`.
pub(super) const NO_PLAINTEXT: c_uint = 0x01;
pub(super) const NO_ANONYMOUS: c_uint = 0x10;

/// `sasl_conn_t`, of which only the library knows what is in it.
#[repr(C)]
pub(super) struct Conn {
    _opaque: [u8; 0],
}

/// `sasl_security_properties_t`.
#[repr(C)]
pub(super) struct SecurityProperties {
    pub(super) min_ssf: c_uint,
    pub(super) max_ssf: c_uint,
    pub(super) maxbufsize: c_uint,
    pub(super) security_flags: c_uint,
    pub(super) property_names: *const *const c_char,
    pub(super) property_values: *const *const c_char,
}

pub(super) type LogCallback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char) -> c_int;

/// `sasl_callback_t` with the type that its function has for the one kind that is used here.
#[repr(C)]
pub(super) struct Callback {
    id: c_ulong,
    function: Option<LogCallback>,
    context: *mut c_void,
}

#[repr(transparent)]
pub(super) struct Callbacks(pub(super) [Callback; 2]);

// SAFETY: its pointers are null, and nobody changes it.
unsafe impl Sync for Callbacks {}

/// What the library may call at any time; it keeps the address.
pub(super) static CALLBACKS: Callbacks = Callbacks([
    Callback {
        id: CB_LOG,
        function: Some(on_log),
        context: null_mut(),
    },
    Callback {
        id: CB_LIST_END,
        function: None,
        context: null_mut(),
    },
]);

/// Functions of the library by their names, with the types that `sasl.h` gives them.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        #[derive(Clone, Copy)]
        pub(super) struct Functions {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Functions {
            /// # Safety
            /// `library` must be libsasl2 with ABI version 2, and never be unloaded.
            pub(super) unsafe fn find(library: &libloading::Library) -> Result<Functions, libloading::Error> {
                Ok(Functions {
                    // SAFETY: the types are those of `sasl.h`.
                    $($name: unsafe { *library.get(stringify!($name))? },)*
                })
            }
        }
    };
}

functions! {
    sasl_set_mutex: fn(MutexNew, MutexUse, MutexUse, MutexFree);
    sasl_set_path: fn(c_int, *mut c_char) -> c_int;
    sasl_server_init: fn(*const Callback, *const c_char) -> c_int;
    sasl_server_new: fn(
        *const c_char,
        *const c_char,
        *const c_char,
        *const c_char,
        *const c_char,
        *const Callback,
        c_uint,
        *mut *mut Conn
    ) -> c_int;
    sasl_dispose: fn(*mut *mut Conn);
    sasl_errstring: fn(c_int, *const c_char, *mut *const c_char) -> *const c_char;
    sasl_errdetail: fn(*mut Conn) -> *const c_char;
    sasl_setprop: fn(*mut Conn, c_int, *const c_void) -> c_int;
    sasl_getprop: fn(*mut Conn, c_int, *mut *const c_void) -> c_int;
    sasl_listmech: fn(
        *mut Conn,
        *const c_char,
        *const c_char,
        *const c_char,
        *const c_char,
        *mut *const c_char,
        *mut c_uint,
        *mut c_int
    ) -> c_int;
    sasl_server_start: fn(
        *mut Conn,
        *const c_char,
        *const c_char,
        c_uint,
        *mut *const c_char,
        *mut c_uint
    ) -> c_int;
    sasl_server_step: fn(
        *mut Conn,
        *const c_char,
        c_uint,
        *mut *const c_char,
        *mut c_uint
    ) -> c_int;
    sasl_encode: fn(*mut Conn, *const c_char, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
    sasl_decode: fn(*mut Conn, *const c_char, c_uint, *mut *const c_char, *mut c_uint) -> c_int;
}

/// `SASL_CB_LOG`.
///
/// # Safety
/// `message` must be null or a text.
unsafe extern "C" fn on_log(_: *mut c_void, level: c_int, message: *const c_char) -> c_int {
    // SAFETY: as the library promises.
    log::record(level, unsafe { bytes(message) });
    OK
}
