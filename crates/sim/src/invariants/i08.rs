//! I8: JobIds, attempts and sessions are never used twice; a byte of a Volume has one owning session at most.

use types::{Attempt, JobId, VolSession};

use crate::world::World;

/// An attempt was granted.
pub(crate) fn granted(world: &mut World, job: JobId, attempt: Attempt) {
    if !world.oracle.attempts.insert((job, attempt)) {
        world.violate("I8", format!("attempt {attempt} of job {job} was granted twice"));
    }
    let open = world.database.observe(move |r| {
        let attempts = catalog::attempt::list(r, job)?;
        Ok(attempts.iter().filter(|row| row.state == catalog::attempt::AttemptState::Open).count())
    });
    if open.is_ok_and(|open| open > 1) {
        world.violate("I8", format!("job {job} has two open attempts"));
    }
}

/// A Storage Daemon gives out a session.
pub(crate) fn session_begins(world: &mut World, at: usize, session: VolSession) {
    if !world.oracle.sessions.insert((at, session)) {
        world.violate("I8", format!("Storage Daemon {at} gave session {session} twice"));
    }
}

/// When all has healed: no two jobs' pieces have blocks of the same session, and pieces of one job do not overlap.
pub(crate) fn ranges_have_one_owner(world: &mut World) {
    let read = world.database.observe(|r| {
        let mut pieces = Vec::new();
        for media in catalog::media::list(r, None)? {
            for job in catalog::media::jobs_on(r, media.id)? {
                let session = catalog::job::get(r, job)?.map(|row| row.session);
                let rows = catalog::jobmedia::list(r, job)?;
                let on_it = rows.into_iter().filter(|row| row.piece.media_id == media.id);
                pieces.extend(on_it.map(|row| (media.volume_name.clone(), job, session, row.piece)));
            }
        }
        Ok(pieces)
    });
    let pieces = match read {
        Ok(pieces) => pieces,
        Err(error) => return world.violate("I8", format!("pieces: {error}")),
    };
    for (at, (volume, job, session, piece)) in pieces.iter().enumerate() {
        for (other_volume, other_job, other_session, other) in &pieces[at + 1..] {
            if volume != other_volume {
                continue;
            }
            let overlap = piece.start <= other.end && other.start <= piece.end;
            if job == other_job && overlap {
                let what = format!("pieces of job {job} on Volume {volume} overlap: {piece:?}, {other:?}");
                return world.violate("I8", what);
            }
            if job != other_job && session == other_session {
                return world.violate("I8", format!("jobs {job} and {other_job} have one session"));
            }
        }
    }
}
