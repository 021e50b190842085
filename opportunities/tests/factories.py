"""Pipelines, stages and opportunities for tests."""

from typing import Any

import factory
from factory.django import DjangoModelFactory

from contacts.tests.factories import ContactFactory
from opportunities.models import LostReason, Opportunity, OpportunityContact, Pipeline, Stage
from opportunities.stages import default_stages


class PipelineFactory(DjangoModelFactory):
    """A pipeline without stages; `usual_stages=True` gives it those that a new installation has."""

    class Meta:
        model = Pipeline
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Pipeline {n}")

    @factory.post_generation
    def usual_stages(self: Any, create: bool, wanted: bool | None, **options: Any) -> None:
        if create and wanted:
            Stage.objects.bulk_create(default_stages(self))


def default_pipeline() -> Pipeline:
    """The one that the migrations make, made again where a test emptied the tables."""
    found = Pipeline.objects.filter(is_default=True).first()
    return found or PipelineFactory(name="Sales", is_default=True, usual_stages=True)


class StageFactory(DjangoModelFactory):
    class Meta:
        model = Stage

    pipeline = factory.SubFactory(PipelineFactory)
    key = factory.Sequence(lambda n: f"stage_{n}")
    name = factory.LazyAttribute(lambda stage: stage.key.replace("_", " ").capitalize())


class OpportunityFactory(DjangoModelFactory):
    """In the first stage of the default pipeline, unless said otherwise."""

    class Meta:
        model = Opportunity

    name = factory.Sequence(lambda n: f"Deal {n}")
    pipeline = factory.LazyFunction(default_pipeline)
    stage = factory.LazyAttribute(lambda deal: deal.pipeline.stages.earliest("position", "id").key)


class LostReasonFactory(DjangoModelFactory):
    class Meta:
        model = LostReason

    key = factory.Sequence(lambda n: f"reason_{n}")
    name = factory.LazyAttribute(lambda reason: reason.key.replace("_", " ").capitalize())


class OpportunityContactFactory(DjangoModelFactory):
    class Meta:
        model = OpportunityContact

    opportunity = factory.SubFactory(OpportunityFactory)
    contact = factory.SubFactory(ContactFactory)
