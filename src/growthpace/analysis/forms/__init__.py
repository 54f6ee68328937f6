"""The forms that a growth curve may have. A new one is a module with a `FORM`, and a line here."""

from growthpace.analysis.forms import constant, joint, linear, logistic, power, rectified
from growthpace.analysis.forms.base import Form

FORMS: dict[str, Form] = {
    module.FORM.name: module.FORM for module in (constant, linear, power, logistic, rectified, joint)
}
"""All forms by name, those with fewer parameters first."""
