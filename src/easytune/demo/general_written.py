"""General questions with answers written by hand, to be replayed: (category, question, answer)."""

ENGLISH = (
    ("facts", "Why do onions make us cry?",
     "When an onion is cut, its cells break and two substances that were kept apart meet. "
     "They form a gas that rises to the eyes, and the eyes answer with tears to wash it away. "
     "A sharp knife breaks fewer cells, and a cold onion gives off less gas."),
    ("facts", "How does a refrigerator keep food cold?",
     "It does not make cold, it carries heat away. A liquid turns into gas in the pipes "
     "inside and takes up heat from the food. Outside, a pump presses the gas until it "
     "becomes liquid again and gives the heat off at the back. That is why the back of a "
     "refrigerator is warm."),
    ("facts", "What is the difference between butter and margarine?",
     "Butter is made from cream, so its fat comes from milk. Margarine is made from plant "
     "oils, often with some water, salt and vitamins. Both are mostly fat and have about the "
     "same energy."),
    ("facts", "Why do leaves fall in autumn?",
     "In winter the roots get little water out of the cold ground, while leaves would go on "
     "losing it to the air. The tree therefore takes back what it can use, which is when the "
     "leaves turn yellow, and closes the stalk with a layer of cork. The next wind does the "
     "rest."),
    ("facts", "How is paper recycled?",
     "Old paper is soaked in water until it becomes a pulp. Staples and plastic are sieved "
     "out, the ink is washed off, and the pulp is spread on a moving screen, pressed and "
     "dried. The fibres get shorter each time, so paper can only be recycled about half a "
     "dozen times."),
    ("science", "Why is the sky red at sunset?",
     "When the sun is low, its light has a long way through the air. On this way most of the "
     "blue light is scattered in other directions, and what reaches us is mainly orange and "
     "red."),
    ("science", "What is the difference between a virus and a bacterium?",
     "A bacterium is a living cell that eats and divides by itself. A virus is far smaller, "
     "only genes in a coat, and needs the cells of others to multiply. Antibiotics work "
     "against bacteria but not against viruses."),
    ("science", "Why does a ship of steel float?",
     "A body floats when it weighs less than the water it pushes aside. A ship is hollow: "
     "together with the air inside it is lighter than the same volume of water, although "
     "steel is heavier."),
    ("science", "What causes the seasons?",
     "The axis of the Earth is tilted by about 23 degrees. In one half of the year the north "
     "leans towards the sun and has long days and steep light, in the other half the south "
     "does. The distance to the sun has little to do with it."),
    ("science", "How do vaccines work?",
     "A vaccine shows the body a harmless part of a germ, or a weakened one. The immune "
     "system learns to recognise it and keeps cells that remember. When the real germ comes, "
     "the answer is quick and strong, so that the illness is milder or does not break out."),
    ("science", "What is friction good for?",
     "Without friction we could not walk, since our feet would slip as on ice. Brakes, nails, "
     "knots and tyres all hold by it. In machines it is unwelcome, as it wears parts out and "
     "turns energy into heat, so we use oil and ball bearings there."),
    ("history_geography", "What was the Hanseatic League?",
     "It was an alliance of merchants and trading cities around the North Sea and the Baltic, "
     "strong from the thirteenth to the sixteenth century. Lübeck led it. Its members traded "
     "in grain, cloth, fish, salt and timber, and protected each other's ships."),
    ("history_geography", "Why was the Suez Canal built?",
     "It joins the Mediterranean and the Red Sea, so that ships between Europe and Asia need "
     "not sail around Africa. It was opened in 1869 and shortens the way from London to "
     "Mumbai by thousands of kilometres."),
    ("history_geography", "What is special about the Dead Sea?",
     "Its shore is more than 400 metres below sea level, the lowest land on Earth. No river "
     "leaves it, so water only evaporates, and the salt stays behind. It is nearly ten times "
     "as salty as the ocean, and swimmers float on it like corks."),
    ("history_geography", "What did the Romans build that still stands?",
     "Many of their roads, bridges and aqueducts are still there. In Rome one can see the "
     "Colosseum and the Pantheon, whose dome is made of concrete; in southern France a great "
     "aqueduct, the Pont du Gard; in the north of England parts of Hadrian's Wall."),
    ("reasoning",
     "If all roses are flowers and some flowers fade quickly, do some roses fade quickly?",
     "That does not follow. The flowers that fade quickly may all be others, such as poppies. "
     "The statements leave open whether any rose is among them."),
    ("reasoning",
     "A bat and a ball cost 1.10 together. The bat costs 1.00 more than the ball. What does "
     "the ball cost?",
     "The ball costs 0.05. The bat then costs 1.05, which is exactly 1.00 more, and together "
     "they cost 1.10. The answer 0.10 feels right but would make the total 1.20."),
    ("reasoning",
     "How many handshakes are there when five people each shake hands once with everyone else?",
     "Each of the five shakes four hands, which makes twenty. Every handshake was counted "
     "twice, once for each person, so there are ten."),
    ("reasoning", "Which is larger, 3/4 or 5/7?",
     "Bring both to the denominator 28: 3/4 is 21/28 and 5/7 is 20/28. So 3/4 is slightly "
     "larger."),
    ("dialogue", "I cannot sleep because my head is full of things to do.",
     "Try to write them all down, even the small ones, and put the list where you will find "
     "it in the morning. What is on paper need not be kept in mind. If you are still awake "
     "after twenty minutes, get up and read something calm until you are tired."),
    ("dialogue", "Can you recommend something to do on a rainy Sunday?",
     "You could bake something that takes its time, such as bread or cinnamon rolls, visit a "
     "museum you always walk past, or call a friend you have not heard from for a year. If "
     "you prefer quiet, a long novel and a pot of tea are hard to beat. Are you alone or with "
     "company?"),
    ("dialogue", "My neighbour plays loud music every evening. What should I say?",
     "Go over at a quiet moment, not while the music is on, and say what you hear rather than "
     "what he does wrong: \"Your bass comes through my bedroom wall after ten.\" Then ask for "
     "one clear thing, such as headphones after ten. Most people do not know how thin walls "
     "are."),
    ("dialogue", "I got a job offer but I like my present colleagues. How do I decide?",
     "Write down what would be different a year from now in each case: the work, the people, "
     "the pay, the way there. Then ask which loss you would regret more. Colleagues may leave "
     "as well, while what you learn stays with you. Is there something the new job would "
     "teach you?"),
    ("instructions", "Write a short thank-you note to a neighbour who watered my plants.",
     "Dear Mrs Lind,\n\nthank you so much for looking after my plants while I was away. They "
     "look better than before I left. I have put a small jar of jam on your doorstep. If you "
     "ever need someone to water yours, just ring my bell.\n\nWarm regards"),
    ("instructions", "List three advantages and one disadvantage of working from home.",
     "Advantages:\n- No time is lost on the way to work.\n- It is easier to concentrate "
     "without noise.\n- The day can be arranged around the family.\n\nDisadvantage:\n- One "
     "meets colleagues less often, and questions take longer."),
    ("instructions", "Rewrite this more politely: Send me the report now.",
     "Could you please send me the report as soon as you have a moment? Thank you."),
    ("instructions", "Explain to a child what a bank does.",
     "A bank keeps money safe for many people. It lends some of this money to others, for "
     "example to a family that wants to buy a house. They give it back bit by bit with a "
     "little extra, called interest. A part of that extra goes to the people whose money it "
     "was."),
    ("instructions",
     "Turn this into bullet points: Bring a warm jacket, good shoes and water; we meet at the "
     "station at eight and are back by six.",
     "- Bring a warm jacket, good shoes and water\n- Meeting point: the station, at eight\n- "
     "Back by six"),
    ("instructions",
     "Correct the mistakes: He don't like no vegetables and neither does his sister likes "
     "them.",
     "He doesn't like any vegetables, and neither does his sister."),
    ("story", "Write the beginning of a story about a door that was never there before.",
     "On Tuesday there was a door at the end of the corridor where on Monday there had been a "
     "wall. It was painted the same tired green as the others, and its handle was worn, as if "
     "many hands had used it. Miriam put down her shopping and listened. Behind it somebody "
     "was practising the piano, always the same four bars."),
    ("story", "Write a short fable about a snail and a hare.",
     "A hare laughed at a snail for being slow. \"I am always at home,\" said the snail, \"so "
     "I am never late.\" That evening hail fell. The hare ran from bush to bush and found no "
     "shelter; the snail had only to draw in its head. It is not speed that matters, but what "
     "you carry with you."),
    ("code", "Write a Python function that reverses the words of a sentence.",
     "```python\ndef reverse_words(sentence):\n    return \" "
     "\".join(reversed(sentence.split()))\n```\n`reverse_words(\"we like tea\")` returns "
     "`\"tea like we\"`."),
    ("code", "How do I read a JSON file in Python?",
     "```python\nimport json\n\nwith open(\"settings.json\", encoding=\"utf-8\") as file:\n"
     "    settings = json.load(file)\n```\nObjects become dictionaries and arrays become "
     "lists."),
    ("code", "Write a function in JavaScript that returns the largest number of an array.",
     "```javascript\nfunction largest(numbers) {\n  let best = -Infinity;\n  for (const "
     "number of numbers) {\n    if (number > best) best = number;\n  }\n  return best;\n}\n```"),
    ("code", "What is the difference between a list and a tuple in Python?",
     "A list can be changed after it was made: you can append, remove or replace items. A "
     "tuple cannot, which makes it usable as a key of a dictionary. Write `[1, 2]` for a list "
     "and `(1, 2)` for a tuple."),
    ("code", "Write a SQL query that finds all books printed before 1950.",
     "```sql\nSELECT title, author, printed\nFROM books\nWHERE printed < 1950\nORDER BY "
     "printed;\n```"),
    ("code", "How do I remove duplicates from a Python list but keep the order?",
     "Use the keys of a dictionary, which keep their order:\n```python\nunique = "
     "list(dict.fromkeys(items))\n```"),
)  # fmt: skip

CHINESE = (
    ("facts", "为什么切洋葱会流眼泪？",
     "切洋葱的时候，细胞被破坏，里面原来分开的两种物质碰到一起，生成一种刺激性的气体。气体飘到"
     "眼睛里，眼睛就会流泪把它冲走。用锋利的刀，或者先把洋葱放进冰箱冷一冷，可以少流一些眼泪。"),
    ("facts", "为什么秋天树叶会变黄？",
     "叶子里除了绿色的叶绿素，还有黄色的色素，只是平时被绿色盖住了。天气变冷以后，树不再制造叶"
     "绿素，原有的也慢慢分解，黄色就显露出来了。"),
    ("facts", "冰箱是怎样让食物变冷的？",
     "冰箱并不是制造冷气，而是把热量搬到外面。管子里的液体在冰箱内变成气体，吸收食物的热量；压"
     "缩机再把气体压成液体，热量就从冰箱背面散发出去。所以冰箱的背面总是热的。"),
    ("facts", "中秋节有什么习俗？",
     "中秋节在农历八月十五，这天晚上的月亮又圆又亮。一家人会团聚在一起，赏月、吃月饼。有些地方"
     "还会点花灯、猜灯谜。"),
    ("science", "为什么彩虹有颜色？",
     "太阳光看起来是白色的，其实由许多种颜色组成。光线进入雨滴时会弯折，不同颜色弯折的程度不一"
     "样，于是就分开成红、橙、黄、绿、蓝、靛、紫的光带。"),
    ("science", "细菌和病毒有什么不同？",
     "细菌是有完整细胞的生物，能自己吸收养分和繁殖。病毒小得多，只有遗传物质和外壳，必须进入别"
     "的细胞里才能繁殖。抗生素对细菌有效，对病毒没有作用。"),
    ("science", "铁做的船为什么能浮在水上？",
     "物体的重量小于它排开的水的重量时就能浮起来。船是空心的，连同里面的空气一起算，比同样体积"
     "的水轻，所以能浮在水面上。"),
    ("science", "四季是怎样形成的？",
     "地球的自转轴是倾斜的。地球绕着太阳公转时，有半年北半球朝向太阳，白天长、阳光直，就是夏天"
     "；另外半年正好相反。四季和地球离太阳的远近关系不大。"),
    ("history_geography", "中国古代的四大发明是什么？",
     "四大发明是造纸术、印刷术、火药和指南针。它们先后传到世界各地，对文化的传播、航海和军事都"
     "产生了很大的影响。"),
    ("history_geography", "长城是用来做什么的？",
     "长城主要是用来防御北方骑兵的。它由城墙、关口和烽火台组成，发现敌人时，守军白天放烟、夜里"
     "点火，把消息一站一站传下去。现在看到的长城大多是明朝修建的。"),
    ("history_geography", "死海为什么淹不死人？",
     "死海没有河流流出，水不断蒸发，盐分就留了下来，含盐量差不多是普通海水的十倍。水的密度比人"
     "体大，所以人能浮在水面上。"),
    ("history_geography", "苏伊士运河有什么作用？",
     "苏伊士运河连接地中海和红海，于一八六九年通航。有了它，来往于欧洲和亚洲的船只不必绕过非洲"
     "，可以节省几千公里的航程。"),
    ("reasoning", "鸡和兔子共有十个头、二十八条腿，各有几只？",
     "假设十只全是鸡，应有二十条腿，实际多出八条。每把一只鸡换成兔子就多两条腿，所以兔子有四只"
     "，鸡有六只。检查：四乘四加六乘二等于二十八。"),
    ("reasoning", "五个人每两人握一次手，一共握几次？",
     "每个人要和另外四个人握手，五个人就是二十次。但是每次握手都算了两遍，所以一共是十次。"),
    ("reasoning", "四分之三和七分之五哪个大？",
     "通分以后，四分之三是二十八分之二十一，七分之五是二十八分之二十，所以四分之三稍大一些。"),
    ("dialogue", "我最近总是睡不好，怎么办？",
     "可以试试固定起床的时间，睡前一小时不看手机，下午以后少喝茶和咖啡。如果脑子里事情太多，就"
     "把它们写在纸上，明天再想。要是持续几个星期都这样，最好去看看医生。"),
    ("dialogue", "周末下雨，有什么可以做的？",
     "可以在家做一顿平时没时间做的饭，看一本小说，或者去一直想去的博物馆。也可以给很久没联系的"
     "朋友打个电话。你是一个人还是和家人一起？"),
    ("dialogue", "我和同事吵了一架，明天不知道怎么面对他。",
     "可以主动找他说几句话，先承认自己当时语气不好，再说明你真正在意的事情。不必争谁对谁错，只"
     "要约定下次遇到同样的情况怎么处理就好。大多数人都愿意接受真诚的道歉。"),
    ("instructions", "请写一张请假条，因为感冒要请一天假。",
     "请假条\n\n王老师：\n\n我因感冒发烧，需要在家休息，特向您请假一天（十一月五日）。落下的功"
     "课我会及时补上，请您批准。\n\n学生：李明"),
    ("instructions", "请列出三个节约用水的办法。",
     "一、刷牙和洗手时随手关上水龙头。\n二、用洗菜、洗衣服的水浇花或冲厕所。\n三、发现水管漏水"
     "及时修理。"),
    ("instructions", "请把这句话说得更客气：把窗户关上。",
     "麻烦您把窗户关一下，好吗？谢谢。"),
    ("instructions", "请用简单的话向孩子解释什么是银行。",
     "银行帮大家保管钱，也把一部分钱借给需要的人，比如要买房子的家庭。借钱的人慢慢还，还要多还"
     "一点，叫作利息。银行再把一部分利息分给存钱的人。"),
    ("story", "请写一个关于蜗牛和兔子的小寓言。",
     "兔子笑蜗牛走得慢。蜗牛说：“我走到哪里，家就在哪里，所以从不迟到。”傍晚下起了冰雹，兔子到"
     "处找不到躲避的地方，蜗牛只是把头缩进了壳里。重要的不是跑得快，而是随身带着什么。"),
    ("story", "请写一个故事的开头：走廊尽头出现了一扇从前没有的门。",
     "星期一，走廊的尽头还是一面墙；星期二，那里却有了一扇门。门漆成和别的门一样的旧绿色，把手"
     "已经磨得发亮，好像有很多人用过。林老师放下手里的书，听见门后有人在练琴，翻来覆去总是那四"
     "个小节。"),
    ("code", "用 Python 写一个函数，把句子里的词倒过来。",
     "```python\ndef reverse_words(sentence):\n    return \" "
     "\".join(reversed(sentence.split()))\n```\n调用 `reverse_words(\"we like tea\")` 会得到 "
     "`\"tea like we\"`。"),
    ("code", "Python 里的列表和元组有什么区别？",
     "列表创建以后可以修改，能增加、删除或替换元素；元组不能修改，因此可以当作字典的键。列表写"
     "作 `[1, 2]`，元组写作 `(1, 2)`。"),
    ("code", "怎样用 Python 读取 JSON 文件？",
     "```python\nimport json\n\nwith open(\"settings.json\", encoding=\"utf-8\") as file:\n"
     "    settings = json.load(file)\n```\n读取以后，对象变成字典，数组变成列表。"),
)  # fmt: skip
