//! `storage`: which of a Storage and its cold spare serves, and the change of that (docs/cold-spare.md).

use super::args::Args;
use super::db::chain;
use super::select::Pick;
use super::session::Session;
use super::table::{Kind, Table};
use super::ua::Done;
use policy::spare::OnMissing;

impl Session {
    pub(super) async fn storage(&mut self, args: &Args) -> Done {
        let word = args.words().first().map(|word| word.key.to_ascii_lowercase()).unwrap_or_default();
        match word.as_str() {
            "activate" => self.activate_storage(args).await,
            "" | "status" | "list" => self.list_places().await,
            other => {
                let text = format!(
                    "Unknown storage command: {other}; it is \"storage activate=NAME\" or \"storage\".\n"
                );
                self.ua.fail(text).await
            }
        }
    }

    async fn list_places(&mut self) -> Done {
        let standings = self.core.standings();
        let visible = self.visible(Pick::Storage);
        let mut table = Table::new(&[
            ("storage", Kind::Text),
            ("coldspare", Kind::Text),
            ("serves", Kind::Text),
            ("epoch", Kind::Number),
        ]);
        for standing in standings.iter().filter(|standing| visible.contains(&standing.main)) {
            let cells = [&standing.main, &standing.spare, &standing.serving, &standing.epoch.to_string()]
                .map(Clone::clone);
            table.rows.push(cells.into_iter().map(Some).collect());
        }
        if table.rows.is_empty() {
            return self.ua.send("No Storage has a cold spare.\n").await;
        }
        self.ua.send(table.horizontal(false)).await
    }

    async fn activate_storage(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        // `storage activate=NAME`, `storage activate storage=NAME`, `storage activate NAME`.
        let bare = args.words().get(1).filter(|word| word.value.is_none()).map(|word| word.key.clone());
        let bare = bare.filter(|name| self.visible(Pick::Storage).contains(name));
        let name = match (self.named(Pick::Storage, args, &["activate", "storage"]).await?, bare) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => self.pick_from_list(Pick::Storage).await?,
        };
        let on_missing = match args.get("missing").map(str::to_ascii_lowercase).as_deref() {
            None => OnMissing::Unsaid,
            Some("leave") => OnMissing::Leave,
            Some("take") => OnMissing::Take,
            Some(_) => return self.ua.fail("\"missing\" is either \"leave\" or \"take\".\n").await,
        };
        let core = self.core.clone();
        let planned = match core.plan_storage(&name, on_missing).await {
            Ok(planned) => planned,
            Err(error) => return self.ua.fail(format!("{}\n", chain(&error))).await,
        };
        self.ua.send(planned.to_string()).await?;
        if !planned.blockers.is_empty() {
            return self.ua.fail("Nothing was done.\n").await;
        }
        if args.has("plan") {
            return Ok(());
        }
        let goes = args.has("yes") || self.ua.ask_yes_no("Do this? (yes/no): ").await? == Some(true);
        if !goes {
            return self.ua.info("Nothing was done.\n").await;
        }
        match core.activate_storage(planned).await {
            Ok(lines) => self.ua.send(lines.iter().map(|line| format!("{line}\n")).collect::<String>()).await,
            Err(error) => self.ua.fail(format!("{}\n", chain(&error))).await,
        }
    }

    /// What `status` says of Storages whose cold spare serves.
    pub(super) async fn say_places(&mut self, of: Option<&str>) -> Done {
        let standings = self.core.standings();
        for standing in standings.iter() {
            let line = match of {
                Some(name) => standings
                    .resting(name)
                    .filter(|of| *of == standing)
                    .map(|of| format!("{}.\n", of.why_not())),
                None => (!standing.is_at_home()).then(|| {
                    format!(
                        " Attention: Storage \"{}\" serves in the place of \"{}\" (storage epoch {}).\n",
                        standing.serving, standing.main, standing.epoch
                    )
                }),
            };
            if let Some(line) = line {
                self.ua.send(line).await?;
            }
        }
        Ok(())
    }
}
