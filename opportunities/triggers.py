"""What the database does beside a write of a deal, a lost reason or a deal's contact, whoever writes it."""

import pgtrigger

# The stage decides about all of these, whoever writes the row.
FOLLOWING = (
    "stage", "pipeline_id", "probability", "status", "actual_close_date", "forecast_category", "lost_reason",
)  # fmt: skip
# A deal is closed on the day that it is where its closer is: their zone, in automation that of whom the deal
# is assigned to. One that comes closed, or that an import closes, was closed when it was expected to be.
_FOLLOW_STAGE = """
SELECT s.probability, s.is_won, s.is_lost INTO st
  FROM opportunities_stage s WHERE s.pipeline_id = NEW.pipeline_id AND s.key = NEW.stage;
IF NOT FOUND THEN RETURN NEW; END IF;
was := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status ELSE '' END;
NEW.status := CASE WHEN st.is_won THEN 'won' WHEN st.is_lost THEN 'lost' ELSE 'open' END;
IF TG_OP = 'INSERT' THEN
    NEW.stage_changed_at := coalesce(NEW.stage_changed_at, clock_timestamp());
ELSE
    IF (NEW.pipeline_id, NEW.stage) IS DISTINCT FROM (OLD.pipeline_id, OLD.stage) THEN
        NEW.stage_changed_at := clock_timestamp();
        IF NEW.probability IS NOT DISTINCT FROM OLD.probability THEN
            NEW.probability := st.probability;
        END IF;
    END IF;
    IF was <> NEW.status AND was <> 'open' AND NEW.forecast_category = OLD.forecast_category THEN
        NEW.forecast_category := 'pipeline';
    END IF;
    IF was = 'lost' AND NEW.status <> 'lost' THEN NEW.lost_reason := ''; END IF;
END IF;
IF NEW.status = 'open' THEN
    NEW.probability := coalesce(NEW.probability, st.probability);
    NEW.actual_close_date := NULL;
    IF NEW.forecast_category = 'closed' THEN NEW.forecast_category := 'pipeline'; END IF;
    RETURN NEW;
END IF;
NEW.probability := CASE WHEN st.is_won THEN 100 ELSE 0 END;
NEW.forecast_category := CASE WHEN st.is_won AND NEW.forecast_category <> 'omitted' THEN 'closed'
                         ELSE 'omitted' END;
IF NEW.actual_close_date IS NULL AND was IN ('won', 'lost') THEN
    NEW.actual_close_date := OLD.actual_close_date;
END IF;
IF NEW.actual_close_date IS NULL THEN
    ctx := coalesce(nullif(current_setting('crm.context', true), ''), '{}')::jsonb;
    BEGIN
        today := timezone(coalesce(
            ctx->>'time_zone',
            (SELECT time_zone FROM core_user WHERE id = NEW.assigned_to_id),
            ctx->>'schedule_zone',
            (SELECT time_zone FROM core_user WHERE id = NEW.owner_id),
            ctx->>'site_zone', 'UTC'
        ), clock_timestamp())::date;
    EXCEPTION WHEN invalid_parameter_value THEN
        today := current_date;  -- a zone that went out of the database
    END;
    NEW.actual_close_date := CASE
        WHEN TG_OP = 'INSERT' OR ctx->>'source' = 'import' THEN least(NEW.expected_close_date, today)
        ELSE today END;
END IF;
RETURN NEW;
"""
FOLLOW_STAGE = pgtrigger.Trigger(
    name="follow_stage",
    level=pgtrigger.Row,
    when=pgtrigger.Before,
    operation=pgtrigger.Insert | pgtrigger.UpdateOf(*FOLLOWING),
    declare=[("st", "record"), ("was", "text"), ("ctx", "jsonb"), ("today", "date")],
    func=_FOLLOW_STAGE,
)

# A deal has a primary contact as long as it has any: without the present one the next who was added is it.
_NEXT_CONTACT = """
DELETE FROM opportunities_opportunitycontact
 WHERE opportunity_id = NEW.id AND contact_id = OLD.contact_id;
NEW.contact_id := (
    SELECT o.contact_id FROM opportunities_opportunitycontact o JOIN contacts_contact c ON c.id = o.contact_id
     WHERE o.opportunity_id = NEW.id ORDER BY c.archived_at IS NOT NULL, o.id LIMIT 1
);
RETURN NEW;
"""
NEXT_CONTACT = pgtrigger.Trigger(
    name="next_contact",
    level=pgtrigger.Row,
    when=pgtrigger.Before,
    operation=pgtrigger.UpdateOf("contact_id"),
    condition=pgtrigger.Condition("OLD.contact_id IS NOT NULL AND NEW.contact_id IS NULL"),
    func=_NEXT_CONTACT,
)

FIRST_IS_PRIMARY = pgtrigger.Trigger(
    name="first_is_primary",
    level=pgtrigger.Row,
    when=pgtrigger.After,
    operation=pgtrigger.Insert | pgtrigger.UpdateOf("opportunity_id"),
    func=(
        "UPDATE opportunities_opportunity SET contact_id = NEW.contact_id"
        " WHERE id = NEW.opportunity_id AND contact_id IS NULL; RETURN NULL;"
    ),
)

# Deals bear the name of their reason and are renamed with it. Of two of one name the pipeline's is meant.
_RENAME_REASON = """
UPDATE opportunities_opportunity o SET lost_reason = NEW.name
 WHERE o.lost_reason = OLD.name AND CASE WHEN NEW.pipeline_id IS NOT NULL THEN o.pipeline_id = NEW.pipeline_id
       ELSE NOT EXISTS (SELECT FROM opportunities_lostreason r
                         WHERE r.pipeline_id = o.pipeline_id AND r.name = OLD.name) END;
RETURN NULL;
"""
RENAME_REASON = pgtrigger.Trigger(
    name="rename_reason",
    level=pgtrigger.Row,
    when=pgtrigger.After,
    operation=pgtrigger.UpdateOf("name"),
    condition=pgtrigger.AnyChange("name"),
    func=_RENAME_REASON,
)
