//! What is remembered of sockets, by their cookies: no more than a number of them, the oldest go first.

use std::collections::{HashMap, VecDeque};

/// A bounded table.
pub(super) struct Memory<T> {
    most: usize,
    known: HashMap<u64, T>,
    order: VecDeque<u64>,
}

impl<T> Memory<T> {
    pub(super) fn of(most: usize) -> Memory<T> {
        Memory {
            most,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, cookie: u64, value: T) {
        if self.known.insert(cookie, value).is_none() {
            self.order.push_back(cookie);
        }
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn get(&self, cookie: u64) -> Option<&T> {
        self.known.get(&cookie)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(super) fn remove(&mut self, cookie: u64) -> Option<T> {
        let removed = self.known.remove(&cookie)?;
        self.order.retain(|known| *known != cookie);
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let mut memory = Memory::of(2);
        for cookie in 1..=3 {
            memory.insert(cookie, cookie * 10);
        }
        assert_eq!(memory.get(1), None);
        assert_eq!((memory.get(2), memory.get(3)), (Some(&20), Some(&30)));
    }

    #[test]
    fn what_was_removed_takes_no_place() {
        let mut memory = Memory::of(2);
        memory.insert(1, 'a');
        memory.insert(2, 'b');
        assert_eq!(memory.remove(1), Some('a'));
        assert_eq!(memory.remove(1), None);
        memory.insert(3, 'c');
        memory.insert(3, 'd');
        assert_eq!((memory.get(2), memory.get(3)), (Some(&'b'), Some(&'d')));
    }
}
