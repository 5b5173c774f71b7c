//! Watches files for changes.
//!
//! Editors write a new file and rename it; Kubernetes redirects a symbolic link in the path to
//! another folder. So folders are watched, those of the names and those of the links that they lead
//! over; the thread compares the files after each event. A change without an event, such as a
//! folder that was removed and made again, is found by a comparison every few seconds.
//!
//! All of it is done by a thread of its own: a file on a mount that hangs must not stop the event
//! loop.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Files are looked at once nothing has happened for this long: several that belong together are
/// often written one by one.
const SETTLE: Duration = Duration::from_millis(200);
/// The files are compared after this time at the latest, even if events go on.
const PATIENCE: Duration = Duration::from_secs(2);
/// The interval of comparisons without an event.
const LOOK: Duration = Duration::from_secs(5);
/// The kernel's clock for files may be this much behind ours.
const TICK: Duration = Duration::from_millis(10);

/// The files that are watched.
#[derive(Debug)]
pub(super) struct Files {
    /// The files to watch from now on, until the thread takes them.
    next: Arc<Mutex<Option<Named>>>,
    wake: SyncSender<()>,
    changes: mpsc::Receiver<()>,
}

/// Paths, and a time before they were read.
type Named = (Vec<PathBuf>, SystemTime);

/// The state of the files, as the thread knows it.
#[derive(Debug)]
struct WatchedFiles {
    paths: Vec<PathBuf>,
    /// The state of the files at the last comparison.
    prints: Vec<Option<Print>>,
    /// `None` where the system does not tell of changes.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    /// When they are to be looked at next, and by when at the latest.
    due: (Instant, Instant),
}

/// The device, inode, size and both times of a file, which distinguish it from another file, and
/// from itself with another content.
type Print = (u64, u64, u64, [i64; 4]);

impl Files {
    /// Watches these files, which were read from `began` on.
    pub(super) fn watch(paths: &[PathBuf], began: SystemTime) -> Self {
        let (wake, news) = sync_channel(1);
        let (tell, changes) = mpsc::channel(1);
        let files = Self {
            next: Arc::default(),
            wake,
            changes,
        };
        // Flags and environment cannot change: without files, no thread has to wait for anything.
        if !paths.is_empty() {
            files.follow(paths, began);
            let (next, wake) = (Arc::clone(&files.next), files.wake.clone());
            // Without the thread, SIGHUP still has the files read again.
            let _ = std::thread::Builder::new()
                .name("files".to_owned())
                .stack_size(128 << 10)
                .spawn(move || WatchedFiles::new(wake).run(&news, &next, &tell));
        }
        files
    }

    /// From now on, watches these files, which were read from `began` on. One that has changed
    /// since then counts as changed.
    pub(super) fn follow(&self, paths: &[PathBuf], began: SystemTime) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((paths.to_vec(), began));
        // One pending wake-up is enough.
        let _ = self.wake.try_send(());
    }

    /// Waits until a file has changed. Safe to cancel.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

impl WatchedFiles {
    fn new(wake: SyncSender<()>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change of it; the watcher itself reads them.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                let _ = wake.try_send(());
            }
        });
        let far = Instant::now() + LOOK;
        let (paths, prints, folders) = Default::default();
        Self {
            paths,
            prints,
            watcher: watcher.ok(),
            folders,
            due: (far, far),
        }
    }

    /// Tells of changes as long as the program runs.
    fn run(mut self, news: &Receiver<()>, next: &Mutex<Option<Named>>, tell: &mpsc::Sender<()>) {
        loop {
            match news.recv_timeout(self.due.0.saturating_duration_since(Instant::now())) {
                Ok(()) => {
                    let named = next.lock().unwrap_or_else(PoisonError::into_inner).take();
                    match named {
                        Some((paths, began)) => self.follow(paths, began),
                        None => self.put_off(),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.has_changed() && tell.blocking_send(()).is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn put_off(&mut self) {
        let now = Instant::now();
        self.due.1 = self.due.1.min(now + PATIENCE);
        self.due.0 = (now + SETTLE).min(self.due.1);
    }

    fn follow(&mut self, paths: Vec<PathBuf>, began: SystemTime) {
        self.paths = paths;
        self.watch_folders();
        self.prints = self.look();
        let began = began
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .saturating_sub(TICK);
        let is_later = |print: &Print| {
            let [.., seconds, nanos] = print.3;
            let at = Duration::new(
                u64::try_from(seconds).unwrap_or(0),
                u32::try_from(nanos).unwrap_or(0),
            );
            at >= began
        };
        let mut is_any_later = false;
        for print in &mut self.prints {
            if print.as_ref().is_some_and(is_later) {
                *print = None;
                is_any_later = true;
            }
        }
        if is_any_later {
            self.due.0 = self.due.0.min(Instant::now() + SETTLE);
        }
    }

    /// Looks at the files, and sets the time for the next look.
    fn has_changed(&mut self) -> bool {
        let far = Instant::now() + LOOK;
        self.due = (far, far);
        // Links may lead elsewhere now, and folders be others.
        self.watch_folders();
        let before = std::mem::take(&mut self.prints);
        self.prints = self.look();
        self.prints != before
    }

    fn look(&self) -> Vec<Option<Print>> {
        self.paths.iter().map(|path| print(path)).collect()
    }

    /// Watches the folders of all names on the way; changes in a folder that cannot be watched are
    /// found by comparison.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut wanted = BTreeSet::new();
        self.paths
            .iter()
            .for_each(|path| add_folders(path, &mut wanted, 0));
        for folder in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(folder);
        }
        for folder in &wanted {
            // One that was made anew under the same name has to be watched anew; one that is
            // watched stays so.
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        self.folders = wanted;
    }
}

/// The kernel follows no more links.
const LINKS: usize = 40;

/// Adds the folder of a path, and that of every symbolic link on the way.
fn add_folders(path: &Path, folders: &mut BTreeSet<PathBuf>, depth: usize) {
    folders.insert(folder(path));
    let mut so_far = PathBuf::new();
    let mut rest = path.components();
    while let (Some(part), true) = (rest.next(), depth < LINKS) {
        so_far.push(part);
        if let Ok(target) = std::fs::read_link(&so_far) {
            folders.insert(folder(&so_far));
            add_folders(
                &folder(&so_far).join(target).join(rest.as_path()),
                folders,
                depth + 1,
            );
            return;
        }
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn print(path: &Path) -> Option<Print> {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        [
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ],
    ))
}
