"""Words to make people and companies of. All of them are invented combinations."""

FIRST_NAMES = (
    "Ada Alice Amir Ana Anders Anna Aria Ben Bruno Carla Chen Clara Daniel Dina Elena Elias Emma Eva "
    "Farid Felix Fiona Grace Hana Hugo Ines Ivan Jack Jana Jonas Julia Kai Karim Laila Lars Lea Leo Lina "
    "Luca Maja Marc Maria Mateo Mia Milan Mona Nadia Nils Nina Noah Nora Olga Omar Oscar Paul Petra Priya "
    "Rania Rosa Ruth Sam Sara Sofia Tara Theo Tim Tom Uma Vera Victor Yara Yuki Zoe"
).split()
LAST_NAMES = (
    "Abbott Ahmed Almeida Andersson Baker Bauer Becker Bianchi Brown Carter Castro Chen Clarke Costa "
    "Dubois Duarte Eriksson Evans Fischer Fontaine Garcia Gruber Haddad Hansen Hoffmann Ito Ivanov Jansen "
    "Jensen Johnson Kaur Keller Khan Kim Kowalski Larsen Laurent Lopez Martin Meyer Moreau Murphy Nagy "
    "Nguyen Novak Okafor Olsen Park Patel Pereira Petrov Quinn Reid Rossi Santos Sato Schmidt Silva Singh "
    "Smith Sousa Tanaka Taylor Vogel Walker Weber Wilson Wong Yilmaz Young Zhang"
).split()
COMPANY_HEADS = (
    "Acorn Alder Amber Anchor Apex Arrow Aspen Atlas Aurora Beacon Birch Blue Bright Cedar Cinder Clear "
    "Cobalt Copper Coral Crown Delta Eagle Echo Elm Ember Falcon Fern Forge Gable Granite Harbor Hazel "
    "Heron Indigo Iron Ivory Juniper Keystone Lantern Larch Laurel Linden Lumen Maple Meridian Mosaic "
    "Nimbus North Oak Onyx Orchard Osprey Pine Prairie Quarry Quartz Raven Ridge River Rowan Sable Silver "
    "Slate Solstice Spruce Stone Summit Tidal Timber Umber Vale Verdant Willow Zephyr"
).split()
COMPANY_TAILS = (
    "Analytics Builders Consulting Design Dynamics Energy Engineering Foods Freight Health Industries "
    "Instruments Insurance Interactive Labs Logistics Machines Materials Media Networks Optics Partners "
    "Pharma Press Robotics Security Software Studios Systems Textiles Tools Travel Works"
).split()
INDUSTRIES = (
    "Agriculture",
    "Construction",
    "Education",
    "Energy",
    "Finance",
    "Healthcare",
    "Hospitality",
    "Logistics",
    "Manufacturing",
    "Media",
    "Retail",
    "Software",
    "Telecommunications",
    "Travel",
)
JOB_TITLES = (
    "CEO",
    "CTO",
    "VP Sales",
    "VP Operations",
    "Head of Purchasing",
    "Head of Marketing",
    "IT Director",
    "Operations Manager",
    "Marketing Manager",
    "Office Manager",
    "Purchasing Agent",
    "Software Engineer",
    "Analyst",
    "Assistant",
)
# City, state or region, postal code, country, international dialling prefix with a fictional exchange.
PLACES = (
    ("San Francisco", "CA", "94103", "United States", "+1415555####"),
    ("Los Angeles", "CA", "90012", "United States", "+1213555####"),
    ("Seattle", "WA", "98101", "United States", "+1206555####"),
    ("New York", "NY", "10013", "United States", "+1212555####"),
    ("Chicago", "IL", "60604", "United States", "+1312555####"),
    ("Toronto", "ON", "M5H 2N2", "Canada", "+1416555####"),
    ("London", "England", "EC1A 1BB", "United Kingdom", "+442079460###"),
    ("Berlin", "Berlin", "10115", "Germany", "+4930232####"),
    ("Paris", "Île-de-France", "75002", "France", "+3319900####"),
    ("Stockholm", "Stockholm", "111 20", "Sweden", "+468465####"),
)
STREETS = ("Main Street", "Harbour Road", "Mill Lane", "Station Road", "High Street", "Park Avenue")
FREE_MAIL = ("gmail.com", "outlook.com", "yahoo.com")
