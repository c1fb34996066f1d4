//! Programs and the procedures that a proxy has to know: numbers of libvirt's protocol files.

use std::fmt;

use crate::named::named;

/// What a frame is about. A daemon may know others than those that have a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Program(pub u32);

named!(Program {
    /// All that the public API does (`remote_protocol.x`).
    REMOTE = 0x2000_8086, "REMOTE";
    /// What only the QEMU driver does (`qemu_protocol.x`).
    QEMU = 0x2000_8087, "QEMU";
    /// What only the LXC driver does (`lxc_protocol.x`).
    LXC = 0x0006_8000, "LXC";
    /// The administration of the daemon itself (`admin_protocol.x`).
    ADMIN = 0x0690_0690, "ADMIN";
    /// Whether the other side is still there (`virkeepaliveprotocol.x`).
    KEEPALIVE = 0x6b65_6570, "KEEPALIVE";
});

impl Program {
    /// The version of each of the programs above: no other was ever made.
    pub const VERSION: u32 = 1;
}

/// The number of a procedure, which means something only together with the [`Program`]. Those with
/// a name here belong to [`Program::REMOTE`] (`enum remote_procedure`); those of the keepalive
/// program are in [`keepalive`](crate::keepalive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Procedure(pub i32);

impl Procedure {
    /// Opens the driver that a URI names.
    pub const CONNECT_OPEN: Procedure = Procedure(1);
    /// Ends the connection, once answered.
    pub const CONNECT_CLOSE: Procedure = Procedure(2);
    /// Asks for a feature of the daemon or of its driver.
    pub const CONNECT_SUPPORTS_FEATURE: Procedure = Procedure(60);
    /// Asks how the client may authenticate itself.
    pub const AUTH_LIST: Procedure = Procedure(66);
    /// Asks for the SASL mechanisms.
    pub const AUTH_SASL_INIT: Procedure = Procedure(67);
    /// The first step of SASL.
    pub const AUTH_SASL_START: Procedure = Procedure(68);
    /// Each further step of SASL.
    pub const AUTH_SASL_STEP: Procedure = Procedure(69);
    /// Has polkit asked about the client.
    pub const AUTH_POLKIT: Procedure = Procedure(70);
    /// Asks for the URI of the driver that is open.
    pub const CONNECT_GET_URI: Procedure = Procedure(110);
    /// Says on whose behalf a proxy calls, since libvirt 5.8. A daemon takes it from anyone, on its
    /// read-only socket too.
    pub const CONNECT_SET_IDENTITY: Procedure = Procedure(419);
}

impl fmt::Display for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_shows_its_name_or_its_number() {
        assert_eq!(Program::KEEPALIVE.to_string(), "KEEPALIVE");
        assert_eq!(format!("{:?}", Program(305_419_896)), "305419896");
    }
}
