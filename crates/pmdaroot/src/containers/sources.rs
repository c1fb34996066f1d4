//! What tells that the state of an engine has changed: inotify, and time stamps of what it cannot
//! watch. Asking for news costs one system call while there are none.

use std::collections::{BTreeSet, HashMap};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::fs::stat;

/// Who wants to hear of a source: an engine, by its place, and what the engine calls the source.
pub(crate) type Key = (usize, String);

/// What the news may be about; writes are told when the file is closed.
const EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// What happens when the source is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is looked for, again and again.
    LookFor,
    /// Its engine hears of it from the folder above, and will ask again.
    Leave,
}

/// A folder whose entries matter.
#[derive(Clone, Debug)]
struct Source {
    key: Key,
    path: PathBuf,
    /// The names of the entries that matter; all if there are none.
    only: &'static [&'static str],
}

/// Time of change and identity of a folder, or nothing if it is not there.
type Stamp = Option<[i128; 4]>;

/// All sources of all engines.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    inotify: Option<OwnedFd>,
    watched: HashMap<i32, Vec<Source>>,
    /// Those that inotify does not watch: they are not there, or the kernel has no room.
    polled: Vec<(Source, Stamp)>,
}

impl Sources {
    pub(crate) fn new() -> Sources {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let inotify = inotify::init(flags)
            .inspect_err(|error| {
                crate::log::info!("no inotify ({error}): state is looked at with each question");
            })
            .ok();
        Sources {
            inotify,
            ..Sources::default()
        }
    }

    /// Adds a source. Asking twice for the same is harmless.
    pub(crate) fn watch(
        &mut self,
        key: Key,
        path: &Path,
        only: &'static [&'static str],
        absent: Absent,
    ) {
        let source = Source {
            key,
            path: path.to_owned(),
            only,
        };
        if self.knows(&source) {
            return;
        }
        match self.add(source) {
            Ok(()) => {}
            Err((_, true)) if absent == Absent::Leave => {}
            Err((source, _)) => {
                let stamp = stamp(&source.path);
                self.polled.push((source, stamp));
            }
        }
    }

    fn knows(&self, wanted: &Source) -> bool {
        let is_it = |source: &Source| source.key == wanted.key && source.path == wanted.path;
        self.polled.iter().any(|(source, _)| is_it(source))
            || self.watched.values().flatten().any(is_it)
    }

    /// Has inotify watch it; otherwise gives it back and tells whether it is just not there.
    fn add(&mut self, source: Source) -> Result<(), (Source, bool)> {
        let Some(inotify) = &self.inotify else {
            let absent = stamp(&source.path).is_none();
            return Err((source, absent));
        };
        match inotify::add_watch(inotify, &source.path, EVENTS | WatchFlags::ONLYDIR) {
            Ok(wd) => {
                self.watched.entry(wd).or_default().push(source);
                Ok(())
            }
            Err(error) => {
                use rustix::io::Errno;
                Err((source, matches!(error, Errno::NOENT | Errno::NOTDIR)))
            }
        }
    }

    /// Forgets all sources with this key.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.polled.retain(|(source, _)| source.key != *key);
        let inotify = &self.inotify;
        self.watched.retain(|&wd, sources| {
            sources.retain(|source| source.key != *key);
            if sources.is_empty()
                && let Some(inotify) = inotify
            {
                // A folder that has gone has taken its watch with it.
                let _ = inotify::remove_watch(inotify, wd);
            }
            !sources.is_empty()
        });
    }

    /// The sources with news since the last time.
    pub(crate) fn news(&mut self) -> BTreeSet<Key> {
        let mut news = BTreeSet::new();
        self.drain(&mut news);
        self.poll(&mut news);
        news
    }

    fn drain(&mut self, news: &mut BTreeSet<Key>) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let mut gone = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                news.extend(self.watched.values().flatten().map(|s| s.key.clone()));
                continue;
            }
            let Some(sources) = self.watched.get(&event.wd()) else {
                continue;
            };
            let name = event.file_name().map(|name| name.to_string_lossy());
            let matters = |source: &&Source| match &name {
                Some(name) => source.only.is_empty() || source.only.contains(&&**name),
                None => true,
            };
            news.extend(sources.iter().filter(matters).map(|s| s.key.clone()));
            if event.events().contains(ReadFlags::IGNORED) {
                gone.push(event.wd());
            }
        }
        for wd in gone {
            // What comes again in its place is found by looking.
            let sources = self.watched.remove(&wd).unwrap_or_default();
            self.polled.extend(sources.into_iter().map(|s| (s, None)));
        }
    }

    fn poll(&mut self, news: &mut BTreeSet<Key>) {
        let mut index = 0;
        while let Some((source, before)) = self.polled.get_mut(index) {
            let now = stamp(&source.path);
            if now == *before {
                index += 1;
                continue;
            }
            *before = now;
            news.insert(source.key.clone());
            let (source, _) = self.polled.swap_remove(index);
            // It may be watched from now on; otherwise it goes back to where it was.
            if let Err((source, _)) = self.add(source) {
                self.polled.push((source, now));
                let last = self.polled.len() - 1;
                self.polled.swap(index, last);
                index += 1;
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = stat(path).ok()?;
    Some([
        i128::from(found.st_mtime),
        i128::from(found.st_mtime_nsec),
        i128::from(found.st_ino),
        i128::from(found.st_dev),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ALL: &[&str] = &[];

    fn names(news: BTreeSet<Key>) -> Vec<String> {
        news.into_iter().map(|(_, name)| name).collect()
    }

    fn both() -> [Sources; 2] {
        [Sources::new(), Sources::default()]
    }

    #[test]
    fn a_change_is_told_once_with_and_without_inotify() {
        for mut sources in both() {
            let folder = tempfile::tempdir().unwrap();
            sources.watch((0, "it".into()), folder.path(), ALL, Absent::LookFor);
            assert!(sources.news().is_empty());
            fs::write(folder.path().join("new"), "").unwrap();
            assert_eq!(names(sources.news()), ["it"]);
            assert!(sources.news().is_empty());
        }
    }

    #[test]
    fn a_folder_that_comes_goes_and_comes_again_is_noticed() {
        for mut sources in both() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("late");
            sources.watch((1, "late".into()), &path, ALL, Absent::LookFor);
            assert!(sources.news().is_empty());
            for _ in 0..2 {
                fs::create_dir(&path).unwrap();
                assert_eq!(names(sources.news()), ["late"]);
                fs::write(path.join("new"), "").unwrap();
                assert_eq!(names(sources.news()), ["late"]);
                fs::remove_dir_all(&path).unwrap();
                assert_eq!(names(sources.news()), ["late"]);
                assert!(sources.news().is_empty());
            }
        }
    }

    #[test]
    fn entries_that_do_not_matter_are_no_news() {
        let mut sources = Sources::new();
        let folder = tempfile::tempdir().unwrap();
        let only = &["config.json"];
        sources.watch((0, "it".into()), folder.path(), only, Absent::LookFor);
        fs::write(folder.path().join("log"), "x").unwrap();
        assert!(sources.news().is_empty());
        fs::write(folder.path().join("draft"), "x").unwrap();
        fs::rename(
            folder.path().join("draft"),
            folder.path().join("config.json"),
        )
        .unwrap();
        assert_eq!(names(sources.news()), ["it"]);
    }

    #[test]
    fn what_is_forgotten_makes_no_news() {
        for mut sources in both() {
            let folder = tempfile::tempdir().unwrap();
            let key = (0, "it".to_owned());
            sources.watch(key.clone(), folder.path(), ALL, Absent::LookFor);
            sources.forget(&key);
            fs::write(folder.path().join("new"), "").unwrap();
            assert!(sources.news().is_empty());
        }
    }
}
