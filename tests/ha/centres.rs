//! Two data centres as `docs/two-data-centres.md` has them; one of them is lost, and comes back.

use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::{expect_good, plain_tree, scratch};
use testkit::centres::{Builder, Centre, Centres};
use testkit::compare::Compare;
use testkit::site::{Gate, JobRow};
use testkit::wait;

/// Runs a job of a Director, through its console at a data centre, to its good end.
fn job(centres: &Centres, director: Centre, at: Centre, command: &str) -> Result<JobRow> {
    let console = centres.console(director, at)?;
    let row = console.wait_job(console.queue(&[command])?, wait::JOB)?;
    expect_good(&row)?;
    Ok(row)
}

/// Restores a client at a data centre and compares all of it.
fn restore(centres: &Centres, director: Centre, at: Centre, client: &str, to: &str) -> Result<()> {
    let place = centres.client_path(to);
    let here = if at == Centre::One { "client1" } else { "client2" };
    let command = format!(
        "restore client={client} restoreclient={here} fileset={client} where={} select current all done yes",
        place.display()
    );
    job(centres, director, at, &command)?;
    let tree = centres.client_path(&format!("/data/{client}"));
    let restored = place.join(tree.strip_prefix("/")?);
    Compare::new(&tree, &restored).run()?.expect_equal()
}

/// Waits until everything that a Director has saved has its copy at the other data centre.
fn copied(centres: &Centres, director: Centre, at: Centre) -> Result<()> {
    let console = centres.console(director, at)?;
    wait::until("everything to be copied", wait::JOB, || {
        let said = console.run(&["status replication"], wait::START)?;
        Ok(said.contains("wholly copied to Pool \"Far\"").then_some(()))
    })
}

fn a_centre_is_lost_and_comes_back(builder: Builder) -> Result<()> {
    use Centre::{One, Two};
    let dir = scratch()?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let site = dir.path().join("site");
    let held = format!(
        "FileSet {{ Name = Held; Include {{ Options {{ Signature = MD5; Read Fifo = yes }}; File = \"{}\"; File = \"{}\" }} }}\n\
         Job {{ Name = Held; Type = Backup; Client = client2; FileSet = Held; Pool = Shared; Messages = Standard }}",
        site.join("all/data/client2").display(),
        gate.path().display()
    );
    let mut centres = builder.more("/etc/bacula/dc1-dir.conf", held).start(&site)?;
    let tree = |client: &str| centres.client_path(&format!("/data/{client}"));
    let trees = [tree("client1"), tree("client2")];
    for tree in &trees {
        plain_tree(tree, 50, 40_000)?;
    }
    job(&centres, One, One, "run job=Client1 level=Full yes")?;
    job(&centres, Two, Two, "run job=Client2 level=Full yes")?;
    for director in Centre::ALL {
        copied(&centres, director, director)?;
    }
    let console = centres.console(One, Two)?;
    let running = console.queue(&["run job=Held level=Full yes"])?;
    let open = gate.wait_reader(wait::START)?;

    centres.lose(One)?;
    centres.promote(Two)?;
    wait::until("dc1-dir to be active at dc2", wait::JOB, || {
        Ok(centres.active(One, Two).is_ok_and(|active| active == Some(Two)).then_some(()))
    })?;
    drop(open);
    expect_good(&console.wait_job(running, wait::JOB)?)?;
    restore(&centres, One, Two, "client1", "/restored/lost")?;
    // The other Director has not noticed anything.
    change(&trees[1])?;
    job(&centres, Two, Two, "run job=Client2 level=Incremental yes")?;
    restore(&centres, Two, Two, "client2", "/restored/near")?;

    centres.replicate_to(One)?;
    centres.start_centre(One)?;
    centres.bring_catalog_home(One)?;
    centres.bring_home(One)?;
    ensure!(centres.active(Two, One)? == Some(Two), "dc2-dir has moved");
    change(&trees[0])?;
    job(&centres, One, One, "run job=Client1 level=Incremental yes")?;
    for director in Centre::ALL {
        copied(&centres, director, director)?;
    }
    restore(&centres, One, One, "client1", "/restored/back")?;
    restore(&centres, Two, Two, "client2", "/restored/back")?;
    // Both failovers of the catalog were to a server that had everything, also while sd1 could not be asked.
    ensure!(!centres.said("has gone back in time"), "a whole catalog was taken for an old one");
    centres.finish()
}

/// An Incremental must find something.
fn change(tree: &Path) -> Result<()> {
    wait::next_second()?;
    std::fs::write(tree.join("changed"), "as it is now")?;
    Ok(())
}

#[test]
fn a_data_centre_is_lost_and_comes_back() -> Result<()> {
    a_centre_is_lost_and_comes_back(Centres::builder())
}

/// 20 ms away from each other, and of a hundred packets one makes the line stand still.
#[test]
fn a_data_centre_far_away_is_lost_and_comes_back() -> Result<()> {
    a_centre_is_lost_and_comes_back(Centres::builder().line(crate::network::SLOW))
}
