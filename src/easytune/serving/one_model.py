"""The one model that a server has, in place of all those of a home."""

from dataclasses import replace
from pathlib import Path

from easytune.deployment_files import Deployment
from easytune.inference_errors import ModelUnknown
from easytune.services.catalogue import Catalogue, Model
from easytune.services.runs import Runs


class OneModel(Catalogue):
    """A catalogue with a single entry, and the base it stands on."""

    def __init__(self, deployment: Deployment, home: Path) -> None:
        """Offer what a deployment serves, under the name that clients use."""
        super().__init__(home, Runs(home))
        source = deployment.source
        # No client may ask for the base by accident: no model has a blank in its name.
        base_id = f"{source.base} (base)"
        whole = Model(
            id=base_id,
            kind="base",
            title=source.base if source.is_adapter else source.title,
            folder=Path(source.base_folder),
            base=None,
            base_name="",
            size_gb=0.0,
            modified=deployment.created,
        )
        self._base = whole
        self._served = replace(whole, id=deployment.name, kind=source.kind, title=source.title)
        if source.is_adapter:
            self._served = replace(
                self._served,
                folder=Path(source.folder),
                base=base_id,
                base_name=source.base,
                is_adapter=True,
            )

    def served(self, name: str) -> Model:
        """Return the model, if that is its name. Raises ModelUnknown."""
        if name != self._served.id:
            raise ModelUnknown(model=name)
        return self._served

    def find(self, model_id: str) -> Model:
        """Return the model or its base by id. Raises ModelUnknown."""
        return self._base if model_id == self._base.id else self.served(model_id)

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self) -> list[Model]:
        """Return the model."""
        return [self._served]
