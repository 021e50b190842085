"""The tools that are about every entity, activities, comments, reports, people and workflows."""

from core.agents.tools import Tool, of_entities, register
from core.entities import entities
from core.reports.api.views import REPORTS

LIST = ("search", "conditions", "ordering", "fields", "archived", "page_size", "cursor")
TIMELINE = ("kind", "type", "since", "until", "actor", "page_size", "cursor")
REPORT = ("entity", "period", "group_by", "start", "end", "date", "due_from", "due_until", "by", "conditions")

register(
    Tool(
        "search",
        "Search",
        "Find records of all entities by one question: an id, an e-mail address, a number, or words."
        " Answers with titles and ids; get_record reads more.",
        "GET",
        "/api/v1/search/",
        query=("q", "type", "page", "page_size"),
        paged=True,
    )
)
register(of_entities("get_record", "Read a record", "One record by its id.", "{id}/", query=("fields",)))
register(
    of_entities(
        "list_records",
        "List records",
        "Records of one entity, page by page: by words, by conditions, in an order. Name the `fields`"
        " that are needed.",
        "",
        query=LIST,
        fixed={"cursor": ""},
        paged=True,
    )
)
register(
    of_entities(
        "timeline",
        "Timeline of a record",
        "Everything that happened to a record, newest first: changes, activities, comments, tasks.",
        "{id}/timeline/",
        query=TIMELINE,
        paged=True,
    )
)
register(
    of_entities(
        "statistics",
        "Statistics",
        "Totals of the records that conditions name, also grouped and with sums: counting costs less than"
        " listing.",
        "statistics/",
        query=("search", "conditions", "archived", "group_by", "metrics"),
    )
)
register(
    Tool(
        "report",
        "Report",
        "A report over what the user sees: trend, funnel, velocity, win_loss, pipeline (of a past day),"
        " waterfall, forecast, activity, response_time, cohort. Days are those of the user's time zone.",
        "GET",
        "/api/v1/reports/{choice}/",
        argument="report",
        choices=lambda: {name: name for name in REPORTS},
        query=REPORT,
    )
)
register(
    Tool(
        "list_users",
        "List users",
        "Colleagues with their ids, which owners and assignees are named by.",
        "GET",
        "/api/v1/users/",
        query=("search", "page", "page_size"),
        paged=True,
    )
)
register(
    Tool(
        "list_workflows",
        "List workflows",
        "The automation that the user may look at and start.",
        "GET",
        "/api/v1/workflows/",
        query=("status", "entity", "page", "page_size"),
        paged=True,
    )
)
register(
    Tool(
        "run_workflow",
        "Start a workflow",
        'Start a workflow by hand, on one record: `{"lead_id": 123}`. It runs in the background; what it does'
        " is not taken back with this session.",
        "POST",
        "/api/v1/workflows/{id}/execute/",
        # One record a call: what a run changes is not counted in the budget.
        left_out=lambda: ("filter", *(f"{entity.name}_ids" for entity in entities)),
    )
)
register(
    Tool(
        "log_activity",
        "Log an activity",
        "A call, mail, meeting or note about one record, which is named by its entity: `lead`, `contact`, …",
        "POST",
        "/api/v1/activities/",
    )
)
register(
    Tool(
        "add_comment",
        "Comment",
        "A comment on one record, which is named by its entity. `@username` notifies that colleague.",
        "POST",
        "/api/v1/comments/",
    )
)
