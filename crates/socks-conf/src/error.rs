//! What can be wrong with a configuration: where, in which field, and why.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::ServerError;
use crate::line::{MAX_LINE, MAX_USER_LINE};

/// A line that is not in the syntax of `pcp_socks.conf`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {field}: {why}", .file.display())]
pub struct RouteError {
    /// The file: the configuration, or a file of user names that it refers to.
    pub file: PathBuf,
    /// Where in it, from 1.
    pub line: usize,
    /// The part of the line.
    pub field: Field,
    /// What is wrong with it.
    pub why: Problem,
}

/// A part of a line, shown as the manual page calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// All of the line.
    Line,
    /// `deny`, `direct` or `sockd`.
    Action,
    /// `@=serverlist`.
    Serverlist,
    /// `*=userlist`.
    Userlist,
    /// The destination.
    Address,
    /// Which bits of the destination count.
    Mask,
    /// How the port is compared.
    Operator,
    /// What the port is compared with.
    Port,
    /// What is run when the line decides.
    Command,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Line => "line",
            Field::Action => "action",
            Field::Serverlist => "serverlist",
            Field::Userlist => "userlist",
            Field::Address => "dst_addr",
            Field::Mask => "dst_mask",
            Field::Operator => "op",
            Field::Port => "dst_port",
            Field::Command => "shell_cmd",
        })
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A line of the configuration beyond what is allowed.
    #[error("{0} characters, but a line has at most {MAX_LINE}")]
    LongLine(usize),
    /// A line of a file of user names beyond what is allowed.
    #[error("{0} characters, but a line of user names has at most {MAX_USER_LINE}")]
    LongUserLine(usize),
    /// Bytes that are no text.
    #[error("not UTF-8 text")]
    NotText,
    /// A zero byte, with which the strings of the system end.
    #[error("there is a zero byte in it")]
    Zero,
    /// A field that must be there is not.
    #[error("it is missing")]
    Missing,
    /// More fields than a line can have.
    #[error("nothing but a comment or `: shell_cmd` may follow here, not {0:?}")]
    Trailing(String),
    /// The first word of a line.
    #[error("{0:?} is none of deny, direct and sockd")]
    Action(String),
    /// A second `@=` or `*=`.
    #[error("it is given twice")]
    Twice,
    /// `@=` before a `deny` or a `direct` line.
    #[error("only a sockd line can have servers")]
    ServersWithoutSockd,
    /// Nothing between two commas, or no list at all.
    #[error("there is an empty element in the list")]
    EmptyElement,
    /// An element of a list of servers.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A name with a slash that is no full path.
    #[error("{0:?}: a file of user names needs its full path, from /")]
    RelativePath(String),
    /// A user id beyond 32 bits.
    #[error("{0} is too large for a user id")]
    UserId(String),
    /// A file of user names that cannot be read.
    #[error("cannot read {}: {why}", .path.display())]
    UserFile {
        /// Its name.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A path where a file of user names has only names.
    #[error("{0:?}: a file of user names cannot name another file")]
    NestedFile(String),
    /// Neither an address nor a name.
    #[error("{0:?} is neither an IPv4 address, an IPv6 address nor a host's or domain's name")]
    Destination(String),
    /// What follows the slash of an address.
    #[error("{text:?} is no prefix length: expected 0 to {most}")]
    PrefixLength {
        /// What is there.
        text: String,
        /// All bits of such an address.
        most: u32,
    },
    /// An address without any mask.
    #[error("it is missing: expected a mask behind {0}, or {0}/LENGTH")]
    NoMask(String),
    /// Not a mask.
    #[error("{0:?} is no mask: expected one such as 255.255.255.0, or an IPv6 address")]
    Mask(String),
    /// A mask behind an address with a prefix length.
    #[error("{0} follows an address that has its prefix length already")]
    MaskAfterLength(String),
    /// An IPv4 mask behind an IPv6 address, or the other way round.
    #[error("{mask} and {address} are of two different families")]
    Families {
        /// The destination.
        address: String,
        /// Its mask.
        mask: String,
    },
    /// A mask that would make a name stand for several hosts.
    #[error(
        "{0:?}: a name stands for itself, so its mask can only be 255.255.255.255 or be left out"
    )]
    NameMask(String),
    /// Not a comparison of ports.
    #[error("{0:?} is none of eq, neq, lt, gt, le and ge")]
    Operator(String),
    /// A number that is no port.
    #[error("{0} is no port: expected 0 to 65535")]
    Port(String),
    /// A name that is no service.
    #[error("there is no TCP service {0:?} in /etc/services")]
    Service(String),
    /// A colon with nothing behind it.
    #[error("there is no command behind the colon")]
    NoCommand,
    /// `%` and something unknown.
    #[error("%{0} stands for nothing: expected one of %A %a %c %p %S %s %U %u %Z %z %%")]
    Substitution(char),
    /// `%` as the last character.
    #[error("the % at the end stands for nothing: a percent sign is written %%")]
    LastPercent,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not there, or not for us.
    #[error("cannot open the configuration {}: {why}", .path.display())]
    Open {
        /// Its name.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// Cannot be read.
    #[error("cannot read the configuration {}: {why}", .path.display())]
    Read {
        /// Its name.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A folder, a device or such.
    #[error("the configuration {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Beyond [`MAX_SIZE`](crate::MAX_SIZE).
    #[error("the configuration {} is larger than {} bytes", .0.display(), crate::MAX_SIZE)]
    TooLarge(PathBuf),
    /// A line is wrong.
    #[error(transparent)]
    Line(#[from] RouteError),
}
