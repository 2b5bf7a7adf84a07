"""All kinds of callables."""

from tests.kits.callable_descriptors import DESCRIPTORS
from tests.kits.callable_functions import FUNCTIONS
from tests.kits.callable_members import MEMBERS

KINDS = [*FUNCTIONS, *MEMBERS, *DESCRIPTORS]
