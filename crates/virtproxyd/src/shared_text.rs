//! Texts that many clients have in common (names of users, URIs), kept once for all of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

static TEXTS: Mutex<BTreeSet<Arc<str>>> = Mutex::new(BTreeSet::new());

/// As many texts are kept before those go that nobody has; others are not shared.
const KEPT: usize = 64;

/// This text, shared with all who have the same.
pub(crate) fn shared(text: &str) -> Arc<str> {
    // Nothing that panics is done while it is held.
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return Arc::clone(known);
    }
    if texts.len() >= KEPT {
        texts.retain(|text| Arc::strong_count(text) > 1);
    }
    let text: Arc<str> = text.into();
    if texts.len() < KEPT {
        texts.insert(Arc::clone(&text));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_there_are_never_many() {
        let first = shared("qemu:///system");
        assert!(Arc::ptr_eq(&first, &shared("qemu:///system")));
        let many: Vec<Arc<str>> = (0..1000)
            .map(|number| shared(&number.to_string()))
            .collect();
        assert_eq!(many.last().map(|text| &**text), Some("999"));
        assert!(TEXTS.lock().unwrap().len() <= KEPT);
        drop(many);
        assert!(Arc::ptr_eq(&shared("other"), &shared("other")));
    }
}
