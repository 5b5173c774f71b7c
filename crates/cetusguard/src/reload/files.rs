//! Notices that a file is another one.
//!
//! Editors write a new file and rename it; Kubernetes turns a symbolic link beside it to another folder. So folders are
//! watched, those of the names and those of what the names lead to; what has changed is told by looking at the files.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Files are looked at once nothing has happened for this long: several that belong together are often written one by one.
const SETTLE: Duration = Duration::from_millis(200);

/// Files that may change.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// What the files were when they were last looked at.
    prints: Vec<Option<Print>>,
    /// `None` where the system does not tell of changes.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    events: mpsc::Receiver<()>,
}

/// What tells a file from another, or from itself with another content: device, inode, size, and the times of both changes.
type Print = (u64, u64, u64, [i64; 4]);

impl Files {
    /// Watches these files; and why that cannot be done, where it cannot: then they never change.
    pub(super) fn watch(paths: &[PathBuf]) -> (Self, Option<String>) {
        let (tell, events) = mpsc::channel(1);
        if paths.is_empty() {
            // Flags and environment cannot change: no thread has to wait for that.
            let (paths, prints, folders) = Default::default();
            return (Self { paths, prints, watcher: None, folders, events }, None);
        }
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change of it; the watcher itself reads them.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                // One that waits already stands for all.
                let _ = tell.try_send(());
            }
        });
        let (watcher, trouble) = match watcher {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut files = Self { paths: Vec::new(), prints: Vec::new(), watcher, folders: BTreeSet::new(), events };
        let trouble = files.follow(paths).or(trouble);
        (files, trouble)
    }

    /// From now on, watches these files; says why one of them cannot be watched, if so.
    pub(super) fn follow(&mut self, paths: &[PathBuf]) -> Option<String> {
        self.paths = paths.to_vec();
        let trouble = self.watch_folders();
        self.prints = self.look();
        trouble
    }

    /// Waits until a file is another one. Safe to cancel.
    pub(super) async fn changed(&mut self) {
        loop {
            if self.events.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
            while let Ok(Some(())) = timeout(SETTLE, self.events.recv()).await {}
            let now = self.look();
            if now != self.prints {
                self.prints = now;
                // Links may lead elsewhere now.
                self.watch_folders();
                return;
            }
        }
    }

    fn look(&self) -> Vec<Option<Print>> {
        self.paths.iter().map(|path| print(path)).collect()
    }

    fn watch_folders(&mut self) -> Option<String> {
        let watcher = self.watcher.as_mut()?;
        let own = self.paths.iter().cloned();
        let real = self.paths.iter().filter_map(|path| path.canonicalize().ok());
        let wanted: BTreeSet<PathBuf> = own.chain(real).map(|path| folder(&path)).collect();
        for folder in self.folders.difference(&wanted) {
            // One that is gone is not watched any more.
            let _ = watcher.unwatch(folder);
        }
        let mut trouble = None;
        for folder in &wanted {
            // A folder that was made anew under the same name has to be watched anew; one that is watched stays so.
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                trouble = Some(format!("{}: {error}", folder.display()));
            }
        }
        self.folders = wanted;
        trouble
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
    Some((meta.dev(), meta.ino(), meta.size(), [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()]))
}
