//! The wishes of the user: the filter, the pause and the end.

use super::keys::PressedKey;

/// The largest filter, in characters.
const LONGEST: usize = 60;

/// The effect of the keys that were pressed so far.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Only refusals and clients that contain this text are shown, in any letter case.
    pub(super) filter: String,
    /// The filter as it is being written.
    pub(super) draft: Option<String>,
    /// The screen keeps the state of one moment.
    pub(super) is_paused: bool,
}

impl Controls {
    /// Takes a key; returns true if the user has seen enough.
    pub(super) fn press(&mut self, key: PressedKey) -> bool {
        let Some(mut draft) = self.draft.take() else {
            match key {
                PressedKey::Quit | PressedKey::Char('q' | 'Q') => return true,
                PressedKey::Char('p' | ' ') => self.is_paused = !self.is_paused,
                PressedKey::Char('f' | '/') => self.draft = Some(self.filter.clone()),
                PressedKey::Escape => self.filter.clear(),
                _ => {}
            }
            return false;
        };
        match key {
            PressedKey::Quit => return true,
            PressedKey::Escape => return false,
            PressedKey::Enter => {
                self.filter = draft;
                return false;
            }
            PressedKey::DeleteLine => draft.clear(),
            PressedKey::Backspace => drop(draft.pop()),
            PressedKey::Char(c) if draft.chars().count() < LONGEST => draft.push(c),
            PressedKey::Char(_) => {}
        }
        self.draft = Some(draft);
        false
    }

    /// Returns the text that is filtered by now: the one that is being written takes effect at once.
    pub(super) fn shown_filter(&self) -> &str {
        self.draft.as_deref().unwrap_or(&self.filter)
    }

    /// Returns the line that names the keys.
    pub(super) fn line(&self) -> String {
        if let Some(draft) = &self.draft {
            return format!("filter: {draft}_  (Enter keeps it, Esc does not)");
        }
        let pause = match self.is_paused {
            true => "p goes on (paused)",
            false => "p pauses",
        };
        match self.filter.is_empty() {
            true => format!("q quits, {pause}, f filters"),
            false => format!(
                "q quits, {pause}, f filters, Esc shows all: {}",
                self.filter
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(controls: &mut Controls, text: &str) -> bool {
        let keys = super::super::keys::read_keys(text.as_bytes());
        keys.into_iter().any(|key| controls.press(key))
    }

    #[test]
    fn keys_pause_filter_and_quit() {
        let mut controls = Controls::default();
        assert!(!press(&mut controls, "xp"));
        assert!(controls.is_paused);
        assert!(!press(&mut controls, " /quux\x7f"));
        assert!(!controls.is_paused);
        assert_eq!(controls.shown_filter(), "quu");
        assert_eq!(controls.filter, "");
        assert!(controls.line().contains("filter: quu_"));
        assert!(!press(&mut controls, "\r"));
        assert_eq!(controls.filter, "quu");
        assert!(!press(&mut controls, "fother\x1b"));
        assert_eq!(controls.shown_filter(), "quu");
        assert!(controls.line().contains("Esc shows all: quu"));
        assert!(!press(&mut controls, "f\x15\r"));
        assert_eq!(controls.filter, "");
        assert!(!press(&mut controls, &format!("f{}\r", "x".repeat(99))));
        assert_eq!(controls.filter.len(), LONGEST);
        assert!(!press(&mut controls, "\x1b"));
        assert_eq!(controls.filter, "");
        assert!(press(&mut controls, "q"));
        assert!(press(&mut controls, "f\x03"));
    }
}
