"""The app itself, as marimo keeps it: cells that run again when what they read has changed."""

import marimo

app = marimo.App(width="full", app_title="takeaway: the lake by sight")


@app.cell
def _():
    import duckdb
    import marimo as mo
    import quak

    from takeaway.explore import sights

    return duckdb, mo, quak, sights


@app.cell
def _(mo):
    again = mo.ui.button(label="Open the lake again")
    return (again,)


@app.cell
def _(again, mo, sights):
    again.value
    with mo.status.spinner("opening the lake", remove_on_exit=True):
        opened = sights.opened()
    return (opened,)


@app.cell
def _(again, mo, opened):
    mo.vstack(
        [
            mo.md("# The lake by sight"),
            mo.hstack([mo.plain_text(opened.told), again], align="center"),
            mo.md("")
            if opened.lake
            else mo.callout(
                mo.plain_text("There are no events to look at yet. Open the lake again when some came."), kind="warn"
            ),
        ]
    )


@app.cell
def _(mo, opened):
    mo.stop(opened.lake is None)
    question = mo.ui.dropdown(opened.questions, value=next(iter(opened.questions)), label="Question", full_width=True)
    return (question,)


@app.cell
def _(mo, question):
    sql = mo.ui.code_editor(question.value.sql(), language="sql", min_height=300, max_height=420).form(
        submit_button_label="Ask this SQL", bordered=False
    )
    return (sql,)


@app.cell
def _(duckdb, mo, opened, question, sights, sql):
    try:
        _rows = opened.lake.sql(sql.value or question.value.sql())
        answer = mo.ui.table(
            _rows,
            selection=None,
            page_size=12,
            label=sights.counted(_rows.num_rows, "row"),
            format_mapping=sights.formats(_rows),
        )
    except (duckdb.Error, ValueError, LookupError) as _error:
        answer = mo.callout(mo.plain_text(f"That SQL does not run. {sights.in_words(_error)}"), kind="danger")
    mo.vstack(
        [
            mo.md("## Questions"),
            question,
            mo.md(question.value.meaning),
            mo.Html(sights.beside(mo.as_html(answer).text, mo.as_html(sql).text)),
        ]
    )


@app.cell
def _(mo, opened, sights):
    mo.stop(opened.lake is None)
    table = mo.ui.radio(list(sights.TABLES), value="orders", inline=True, label="A table to filter by sight")
    return (table,)


@app.cell
def _(mo, opened, quak, sights, table):
    _rows, _told = sights.table_of(opened.lake, table.value)
    profile = mo.ui.anywidget(quak.Widget(_rows, table=table.value))
    mo.vstack(
        [
            mo.md("## By sight"),
            table,
            mo.md(f"{_told}. Drag over a column's picture to keep a part of it; below is the SQL of what is kept."),
            profile,
        ]
    )
    return (profile,)


@app.cell
def _(mo, profile):
    mo.ui.code_editor(profile.value["sql"], language="sql", disabled=True, min_height=40)


@app.cell
def _(mo, opened, sights):
    mo.stop(opened.lake is None)
    _rows = opened.lake.sql(sights.STUCK_ORDERS.sql())
    stuck = mo.ui.table(
        _rows,
        selection="single",
        page_size=8,
        label=sights.counted(_rows.num_rows, "stuck order"),
        format_mapping=sights.formats(_rows),
    )
    order = mo.ui.text(label="or any order's id", full_width=True)
    mo.vstack(
        [
            mo.md("## Stuck orders"),
            mo.md(sights.STUCK_ORDERS.meaning),
            stuck
            if _rows.num_rows
            else mo.callout(mo.plain_text("No order waits longer than it may."), kind="success"),
            order,
        ]
    )
    return order, stuck


@app.cell
def _(mo, order, sights, stuck):
    _chosen = order.value.strip() or next(iter(stuck.value["order_id"].to_pylist()), "")
    mo.stop(not _chosen, mo.plain_text("Choose an order, and its journey is told here."))
    with mo.status.spinner("looking in lake, stream and dead letters", remove_on_exit=True):
        _told = sights.journey(_chosen)
    mo.plain_text(_told)


if __name__ == "__main__":
    app.run()
