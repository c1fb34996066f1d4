//! The macro behind every number of the protocol that has names but is no closed list.

/// Gives a tuple struct around a number its named constants, `name`, and a `Display` that shows the
/// name or, for what a newer peer made up, the number.
macro_rules! named {
    ($type:ident { $($(#[$doc:meta])* $konst:ident = $number:literal, $name:literal;)* }) => {
        impl $type {
            $($(#[$doc])* pub const $konst: $type = $type($number);)*

            /// The name in libvirt's sources without its prefix, if this number has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => self.0.fmt(f),
                }
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

pub(crate) use named;
