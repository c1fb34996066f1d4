//! A host as users write it, with a port or without.

/// Takes `host`, `host:port`, `[address]`, `[address]:port` or a bare IPv6 address apart.
#[must_use]
pub fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':')?)),
        }
    } else {
        match text.split_once(':') {
            Some((_, rest)) if rest.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let blank = |character: char| character.is_whitespace() || character.is_control();
    (!host.is_empty() && !host.contains(blank)).then_some((host, port))
}
