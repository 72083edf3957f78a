//! `sqlquery` and `query`: free SQL, reading only.

use super::args::Args;
use super::session::Session;
use super::ua::{Done, Halt};

/// One entry of the query file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    title: String,
    prompts: Vec<String>,
    sql: String,
}

impl Session {
    /// Runs a query and shows its rows; an error is shown, too.
    pub(super) async fn show_sql(&mut self, sql: &str) -> Done {
        let sql = sql.trim().trim_end_matches(';').to_owned();
        let result = self.catalog().read(move |r| catalog::listing::free(r, &sql)).await;
        match result {
            Ok(listing) => self.show_listing(listing, false).await,
            Err(error) => {
                let text = format!("Query failed: {}\n", super::db::chain(&error));
                self.ua.error(text).await
            }
        }
    }

    pub(super) async fn sqlquery(&mut self) -> Done {
        self.use_catalog(false).await?;
        self.ua
            .send(
                "Entering SQL query mode.\nTerminate each query with a semicolon.\nTerminate query mode with a blank line.\n",
            )
            .await?;
        let mut sql = String::new();
        let mut question = "Enter SQL query: ";
        while let Some(line) = self.ua.ask(question).await? {
            if line.is_empty() {
                break;
            }
            sql.push_str(&line);
            sql.push(' ');
            question = "Add to SQL query: ";
            if line.trim_end().ends_with(';') {
                self.show_sql(&std::mem::take(&mut sql)).await?;
                question = "Enter SQL query: ";
            }
        }
        self.ua.send("End query mode.\n").await
    }

    pub(super) async fn query(&mut self, args: &Args) -> Done {
        self.use_catalog(false).await?;
        let path = self.core.config().director.query_file.clone();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return self.ua.fail(format!("Could not open {path}: ERR={error}\n")).await,
        };
        let queries = read_queries(&text);
        let at = match args.words().first().map(|w| w.key.clone()) {
            Some(number) => match number.parse::<usize>().ok().filter(|n| (1..=queries.len()).contains(n)) {
                Some(number) => number - 1,
                None => return self.ua.fail("Could not find query.\n").await,
            },
            None => {
                let titles: Vec<String> = queries.iter().map(|q| q.title.clone()).collect();
                if titles.is_empty() {
                    return self.ua.fail(format!("There is no query in {path}.\n")).await;
                }
                self.ua.select("Available queries:", "", "Choose a query", &titles).await?
            }
        };
        let query = queries[at].clone();
        let mut sql = query.sql;
        for (i, prompt) in query.prompts.iter().enumerate() {
            let Some(answer) = self.ua.ask(&format!("{prompt} ")).await? else { return Err(Halt::Left) };
            // Quotes are doubled, so that an answer stays one text in the statement.
            sql = sql.replace(&format!("%{}", i + 1), &answer.replace('\'', "''"));
        }
        self.show_sql(&sql).await
    }
}

/// Reads a query file: `:title`, `*prompt` lines, SQL up to a semicolon; `#` starts a comment line.
pub(super) fn read_queries(text: &str) -> Vec<Query> {
    let mut queries: Vec<Query> = Vec::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match (line.strip_prefix(':'), line.strip_prefix('*'), queries.last_mut()) {
            (Some(title), _, _) => queries.push(Query { title: title.trim().to_owned(), ..Query::default() }),
            (None, Some(prompt), Some(query)) => query.prompts.push(prompt.trim().to_owned()),
            (None, None, Some(query)) => {
                query.sql.push_str(line);
                query.sql.push(' ');
            }
            (None, _, None) => {}
        }
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_file_is_read() {
        let queries = read_queries(
            "# comment\n:List Jobs\nSELECT 1\n FROM Job;\n:By name\n*Enter name:\n*Enter date:\nSELECT '%1', '%2';\n",
        );
        assert_eq!(queries.len(), 2);
        assert_eq!((queries[0].title.as_str(), queries[0].sql.trim()), ("List Jobs", "SELECT 1 FROM Job;"));
        assert_eq!(queries[1].prompts, ["Enter name:", "Enter date:"]);
    }
}
