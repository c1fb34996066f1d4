//! Looking up names: what the resolver here does not know gets an address that stands for the name, if
//! a SOCKS server is to resolve it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::net::IpAddr;
use std::ptr;

use libc::{addrinfo, hostent, size_t, sockaddr, socklen_t};
use socks_conf::NameDecision;
use socks_dial::report;

use crate::addresses;
use crate::names::{self, Known, Place};
use crate::next;
use crate::plan::{debug, plan};

/// What the resolver says of a name that it does not know, or cannot ask about (netdb.h).
const UNKNOWN: [c_int; 5] = [
    libc::EAI_NONAME,
    libc::EAI_AGAIN,
    libc::EAI_FAIL,
    libc::EAI_NODATA,
    EAI_ADDRFAMILY,
];
const EAI_ADDRFAMILY: c_int = -9;

/// Room for an address as text.
const ADDRESS_TEXT: usize = 48;

thread_local! {
    /// Whether this thread looks up something for this library itself.
    static REALLY: Cell<bool> = const { Cell::new(false) };
}

/// Runs a look-up whose answers are to be the resolver's own.
pub(crate) fn really<T>(look_up: impl FnOnce() -> T) -> T {
    REALLY.set(true);
    let done = look_up();
    REALLY.set(false);
    done
}

/// The name, if a SOCKS server is to resolve it.
fn for_the_server(name: &CStr) -> Option<&str> {
    let name = name.to_str().ok()?;
    let like_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name = !name.is_empty()
        && name.bytes().all(like_a_name)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && name.parse::<IpAddr>().is_err();
    (is_name && plan().ok()?.decide_name(name) == NameDecision::Sockd).then_some(name)
}

fn place(name: &CStr) -> Option<Place> {
    if REALLY.get() {
        return None;
    }
    let name = for_the_server(name)?;
    let place = names::place(name)?;
    if debug().is_some() {
        let address = place.v4();
        report(&format_args!(
            "{name} is left to a SOCKS server; {address} stands for it"
        ));
    }
    Some(place)
}

/// What the resolver here says.
///
/// # Safety
/// As for getaddrinfo(3).
pub(crate) unsafe fn resolve(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: a node is a string; hints are null or valid.
    let anywhere = unsafe {
        (!node.is_null())
            .then(|| numeric(CStr::from_ptr(node), hints.as_ref()))
            .flatten()
    };
    let hints = anywhere.as_ref().map_or(hints, ptr::from_ref);
    // SAFETY: the caller's arguments, but for the hints, which may be ours.
    unsafe { next::getaddrinfo(node, service, hints, result) }
}

/// getaddrinfo(3), for which the resolver has given `code`.
///
/// # Safety
/// As for that function.
pub(crate) unsafe fn getaddrinfo(
    code: c_int,
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    if node.is_null() {
        return code;
    }
    // SAFETY: a node is a string.
    let name = unsafe { CStr::from_ptr(node) };
    if code == 0 {
        // SAFETY: what has just been given.
        unsafe { remember(name, *result) };
        return 0;
    }
    // SAFETY: hints are null or valid.
    let wanted = unsafe { hints.as_ref() }.copied();
    if !UNKNOWN.contains(&code)
        || wanted.is_some_and(|hints| hints.ai_flags & libc::AI_NUMERICHOST != 0)
    {
        return code;
    }
    let Some(place) = place(name) else {
        return code;
    };
    // SAFETY: `result` is valid for writing, as the caller said.
    unsafe { places(name, place, service, wanted, result) }
}

/// For an address, hints without the question whether this host has addresses of the kind: a SOCKS
/// server may reach it in any case.
fn numeric(name: &CStr, hints: Option<&addrinfo>) -> Option<addrinfo> {
    let hints = hints.filter(|hints| hints.ai_flags & libc::AI_ADDRCONFIG != 0)?;
    name.to_str().ok()?.parse::<IpAddr>().ok()?;
    Some(addrinfo {
        ai_flags: hints.ai_flags & !libc::AI_ADDRCONFIG,
        ..*hints
    })
}

/// Has the resolver make its lists of the address, whatever was asked for: socket types, service, and
/// who frees it.
unsafe fn places(
    name: &CStr,
    place: Place,
    service: *const c_char,
    wanted: Option<addrinfo>,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: an addrinfo of zeroes asks for everything.
    let mut hints = wanted.unwrap_or_else(|| unsafe { std::mem::zeroed() });
    hints.ai_flags &= !(libc::AI_ADDRCONFIG | libc::AI_V4MAPPED | libc::AI_ALL | AI_IDN);
    hints.ai_flags |= libc::AI_NUMERICHOST;
    let address = if hints.ai_family == libc::AF_INET6 {
        Text::new(place.v6().into())
    } else {
        Text::new(place.v4().into())
    };
    // SAFETY: all is valid; the caller's service is a string or null.
    let code = unsafe { next::getaddrinfo(address.as_ptr(), service, &raw const hints, result) };
    if code == 0 {
        // SAFETY: the list is fresh; a canonical name is one that freeaddrinfo frees.
        unsafe {
            if let Some(first) = (*result).as_mut()
                && !first.ai_canonname.is_null()
            {
                libc::free(first.ai_canonname.cast());
                first.ai_canonname = libc::strdup(name.as_ptr());
            }
        }
    }
    code
}

/// The flags for internationalised names, whose numbers a numeric address has no use for (netdb.h).
const AI_IDN: c_int = 0x0040 | 0x0080;

/// Remembers what a name was resolved to, where the routes want to know.
///
/// # Safety
/// `list` is one of getaddrinfo's.
unsafe fn remember(name: &CStr, list: *const addrinfo) {
    let Some(name) = wanted_by_routes(name) else {
        return;
    };
    let mut next = list;
    // SAFETY: the list ends with a null pointer, and its addresses are as long as they say.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: as above.
        if let Some(address) = unsafe { addresses::read(entry.ai_addr, entry.ai_addrlen) } {
            names::remember(name, address.ip());
        }
        next = entry.ai_next;
    }
}

fn wanted_by_routes(name: &CStr) -> Option<&str> {
    if REALLY.get() || !plan().is_ok_and(|plan| plan.routes.has_names()) {
        return None;
    }
    let name = name.to_str().ok()?;
    name.parse::<IpAddr>().is_err().then_some(name)
}

/// What one of the functions of gethostbyname(3) gave: the entry, or null.
///
/// # Safety
/// `entry` is null or valid, and lives on as those of the function do.
unsafe fn remember_entry(name: &CStr, entry: *const hostent) {
    let Some(name) = wanted_by_routes(name) else {
        return;
    };
    // SAFETY: the caller's duty.
    let Some(entry) = (unsafe { entry.as_ref() }) else {
        return;
    };
    let mut next = entry.h_addr_list;
    // SAFETY: the list ends with a null pointer, and its addresses have the family's length.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            let address = match entry.h_addrtype {
                libc::AF_INET => IpAddr::from((*next).cast::<[u8; 4]>().read_unaligned()),
                _ => IpAddr::from((*next).cast::<[u8; 16]>().read_unaligned()),
            };
            names::remember(name, address);
            next = next.add(1);
        }
    }
}

/// gethostbyname(3) and gethostbyname2(3), where `look_up` is the one that was called and gave `entry`.
///
/// # Safety
/// `name` is a string, and `look_up` calls the function for another one.
pub(crate) unsafe fn gethostbyname(
    entry: *mut hostent,
    name: *const c_char,
    family: c_int,
    look_up: impl Fn(*const c_char) -> *mut hostent,
) -> *mut hostent {
    if name.is_null() {
        return entry;
    }
    // SAFETY: the caller's duty.
    let text = unsafe { CStr::from_ptr(name) };
    if !entry.is_null() {
        // SAFETY: as the function says.
        unsafe { remember_entry(text, entry) };
        return entry;
    }
    let Some(place) = place(text) else {
        return entry;
    };
    let entry = look_up(Text::of_family(place, family).as_ptr());
    // SAFETY: as the function says: null, or an entry that may be changed.
    if let Some(entry) = unsafe { entry.as_mut() } {
        entry.h_name = names::lasting(place);
    }
    entry
}

/// gethostbyname_r(3) and gethostbyname2_r(3), where `look_up` is the one that was called and gave
/// `code`.
///
/// # Safety
/// As for those functions.
pub(crate) unsafe fn gethostbyname_r(
    code: c_int,
    name: *const c_char,
    family: c_int,
    result: *mut *mut hostent,
    look_up: impl Fn(*const c_char) -> c_int,
) -> c_int {
    if name.is_null() || result.is_null() || code == libc::ERANGE {
        return code;
    }
    // SAFETY: the caller's duty.
    let (text, entry) = unsafe { (CStr::from_ptr(name), *result) };
    if code == 0 && !entry.is_null() {
        // SAFETY: as the function says.
        unsafe { remember_entry(text, entry) };
        return code;
    }
    let Some(place) = place(text) else {
        return code;
    };
    let code = look_up(Text::of_family(place, family).as_ptr());
    if code == 0 {
        // SAFETY: the function has set it: null, or an entry that may be changed.
        let entry = unsafe { (*result).as_mut() };
        if let Some(entry) = entry {
            entry.h_name = names::lasting(place);
        }
    }
    code
}

/// getnameinfo(3).
///
/// # Safety
/// As for that function.
pub(crate) unsafe fn getnameinfo(
    address: *const sockaddr,
    length: socklen_t,
    host: *mut c_char,
    host_length: socklen_t,
    service: *mut c_char,
    service_length: socklen_t,
    flags: c_int,
) -> c_int {
    let pass = |flags| {
        // SAFETY: the caller's arguments.
        unsafe {
            next::getnameinfo(
                address,
                length,
                host,
                host_length,
                service,
                service_length,
                flags,
            )
        }
    };
    if flags & libc::NI_NUMERICHOST != 0 || host.is_null() {
        return pass(flags);
    }
    // SAFETY: as long as the caller says.
    let known = match unsafe { addresses::read(address, length) } {
        Some(address) => names::known(address.ip(), false),
        None => Known::Nothing,
    };
    let Known::Place(name) = known else {
        return pass(flags);
    };
    let code = pass((flags | libc::NI_NUMERICHOST) & !libc::NI_NAMEREQD);
    if code != 0 {
        return code;
    }
    let name = name.with_nul();
    if name.len() > host_length as size_t {
        return libc::EAI_OVERFLOW;
    }
    // SAFETY: there is room for it.
    unsafe { ptr::copy_nonoverlapping(name.as_ptr(), host.cast(), name.len()) };
    0
}

/// An address as text, for C.
struct Text {
    bytes: [u8; ADDRESS_TEXT],
}

impl Text {
    fn new(address: IpAddr) -> Text {
        use std::io::Write;
        let mut bytes = [0; ADDRESS_TEXT];
        // The longest address has 45 characters, and zeroes follow.
        let _ = write!(bytes.as_mut_slice(), "{address}");
        Text { bytes }
    }

    fn of_family(place: Place, family: c_int) -> Text {
        if family == libc::AF_INET6 {
            Text::new(place.v6().into())
        } else {
            Text::new(place.v4().into())
        }
    }

    fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}
