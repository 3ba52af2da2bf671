//! A run that went without the remote is owed to it: the next one from the same clone stores it, and sets the hold that it wanted.

use step::Failure;

use super::begin::Begin;
use super::shore;
use crate::lock::entry::Hold;
use crate::names::Name;
use crate::record::Record;
use crate::remote::{Draft, Index, Pushed};

impl Begin<'_> {
    /// A run that went without the remote is stored, and the hold that it wanted is set; whether anything was.
    pub(super) fn settle_owed(&self, index: &Index) -> Result<bool, Failure> {
        let scope = self.scope();
        let Some(permit) = self.context.permit() else { return Ok(false) };
        let mut settled = false;
        for (run, reason) in self.places.owed() {
            let folder = self.places.run(&run, false);
            let fits = |r: &Record| r.scope() == scope;
            let Some(record) = folder.record().filter(fits) else { continue };
            let place = Name::Run(scope.clone(), run.clone());
            let mut drafts =
                vec![shore::stored(&record, &folder, index.tip(&place).map(|tip| &tip.id), place.clone())?];
            let hold = reason.filter(|_| self.held(index).is_none_or(|held| !held.on));
            if let Some(reason) = &hold {
                let name = Name::Hold(scope.clone());
                let before = index.tip(&name).map(|tip| tip.id.clone());
                let message = Hold::now(true, self.remote.who.clone(), reason).message(&self.environment);
                drafts.push(Draft { name, before, message, files: Vec::new() });
            }
            if let (Pushed::Done, _) = self.remote.put(&permit, &drafts)? {
                self.places.settled(&run);
                settled = true;
                let held = hold.map(|reason| format!(", and {} is on hold: {reason}", self.environment));
                self.voice.say(&format!(
                    "runs/{run}, which went without the remote, is stored{}",
                    held.unwrap_or_default()
                ));
            }
        }
        Ok(settled)
    }
}
